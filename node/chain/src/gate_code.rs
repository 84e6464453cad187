//! The specification of a gate, read from its code.
//!
//! A gate is a clone of one contract, with its specification behind the clone's code
//! (`contracts/src/libraries/GateCode.sol`). The engine makes it with CREATE2 and no salt, so its address is a hash of
//! its code (EIP-1014): a reader of the code can check that it belongs to the gate, and the code is the same on every
//! branch of the chain.
//!
//! [`spec`] reads the code and [`is_made_by`] checks the address. So a specification is right whoever gave it: an
//! endpoint that lies about the code of a gate is found out, and one answer is enough.

use rings_protocol::{
    cids::keccak256,
    gate::{GateInput, GateSpec},
    Address, Digest,
};

/// Bytes of a clone's code before its arguments.
const CLONE: usize = 45;
/// Bytes of one ring, and of one input.
const RING: usize = 20;
const INPUT: usize = 33;

/// Whether `engine` made the contract with this code at `gate`.
pub(crate) fn is_made_by(engine: Address, gate: Address, code: &[u8]) -> bool {
    let Ok(length) = u16::try_from(code.len()) else {
        return false;
    };
    // What the engine runs to create the clone: "return the bytes behind these".
    let [high, low] = length.to_be_bytes();
    let creation = [0x61, high, low, 0x3d, 0x81, 0x60, 0x0a, 0x3d, 0x39, 0xf3];
    let creation = [&creation[..], code].concat();
    create2_address(engine, Digest::ZERO, &creation) == gate
}

/// The contract that makes others with CREATE2, at an address that follows from a salt and their code: the
/// "deterministic deployment proxy", which most chains have, anvil among them.
pub const CREATE2_DEPLOYER: Address = Address([
    0x4e, 0x59, 0xb4, 0x48, 0x47, 0xb3, 0x79, 0x57, 0x85, 0x88, 0x92, 0x0c, 0xa7, 0x8f, 0xbf, 0x26,
    0xc0, 0xb4, 0x95, 0x6c,
]);

/// Where `creator` puts a contract with CREATE2 (EIP-1014).
pub(crate) fn create2_address(creator: Address, salt: Digest, creation: &[u8]) -> Address {
    let parts = [&[0xff][..], &creator.0, &salt.0, &keccak256(creation).0];
    let mut address = [0; 20];
    address.copy_from_slice(&keccak256(&parts.concat()).0[12..]);
    Address(address)
}

/// The specification in a gate's code; `None` when it is not the code of a gate.
pub(crate) fn spec(code: &[u8]) -> Option<GateSpec> {
    let mut bytes = Bytes(code.get(CLONE..)?);
    let scope = bytes.address()?;
    let outputs = bytes.uint96()?;
    let salt = bytes.word()?;
    let [rings] = bytes.take()?;
    let rings = (0..rings).map(|_| bytes.address()).collect::<Option<_>>()?;
    let mut inputs = Vec::with_capacity(bytes.0.len() / INPUT);
    while !bytes.0.is_empty() {
        inputs.push(bytes.input()?);
    }
    Some(GateSpec {
        scope,
        rings,
        inputs,
        outputs,
        salt,
    })
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn address(&mut self) -> Option<Address> {
        self.take::<RING>().map(Address)
    }

    fn word(&mut self) -> Option<Digest> {
        self.take().map(Digest)
    }

    fn uint96(&mut self) -> Option<u128> {
        let bytes = self.take::<12>()?;
        let number = bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u128::from(*byte));
        Some(number)
    }

    /// 0 and a token id, or 1 and a gate and its pin.
    fn input(&mut self) -> Option<GateInput> {
        let [kind] = self.take()?;
        match kind {
            0 => self.word().map(GateInput::Constant),
            1 => Some(GateInput::Future {
                gate: self.address()?,
                pin: self.uint96()?,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(spec: &GateSpec) -> Vec<u8> {
        let mut code = vec![0xee; CLONE];
        code.extend(spec.scope.0);
        code.extend(&spec.outputs.to_be_bytes()[4..]);
        code.extend(spec.salt.0);
        code.push(spec.rings.len() as u8);
        code.extend(spec.rings.iter().flat_map(|ring| ring.0));
        for input in &spec.inputs {
            match input {
                GateInput::Constant(token) => {
                    code.push(0);
                    code.extend(token.0);
                }
                GateInput::Future { gate, pin } => {
                    code.push(1);
                    code.extend(gate.0);
                    code.extend(&pin.to_be_bytes()[4..]);
                }
            }
        }
        code
    }

    fn input() -> impl Strategy<Value = GateInput> {
        let pin = 0..1u128 << 96;
        prop_oneof![
            any::<[u8; 32]>().prop_map(|token| GateInput::Constant(Digest(token))),
            (any::<[u8; 20]>(), pin).prop_map(|(gate, pin)| GateInput::Future {
                gate: Address(gate),
                pin
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_spec_is_read_back(
            scope: [u8; 20], outputs in 0..1u128 << 96, salt: [u8; 32],
            rings in proptest::collection::vec(any::<[u8; 20]>(), 0..17),
            inputs in proptest::collection::vec(input(), 0..20),
            cut in 1usize..20,
        ) {
            let spec = GateSpec {
                scope: Address(scope),
                rings: rings.into_iter().map(Address).collect(),
                inputs,
                outputs,
                salt: Digest(salt),
            };
            let code = encode(&spec);
            prop_assert_eq!(super::spec(&code), Some(spec));
            // An input that is cut off is invalid.
            prop_assert_eq!(super::spec(&code[..code.len() - cut]).map(|s| s.outputs), None);
        }

        #[test]
        fn any_bytes_are_read_without_panic(code: Vec<u8>) {
            super::spec(&code);
            prop_assert!(!is_made_by(Address([1; 20]), Address([2; 20]), &code));
        }
    }
}
