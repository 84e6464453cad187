//! Calls of the contracts from their written interface: names, types and nothing of our bindings.

use super::Account;
use crate::eth::Eth;
use ethers_core::{
    abi::{self, ParamType, Token},
    types::{H160, U256},
    utils::keccak256,
};
use rings_protocol::{Address, Digest};
use serde_json::{json, Value};

const SPEC: &str = "(address,address[],(uint256,address,uint96)[],uint96,bytes32)";
const CONSTANT: u64 = 0;
const VARIABLE: u64 = 1;

/// Where the contracts of a ring are.
#[derive(Debug, Clone)]
pub struct Contracts {
    /// The chain that they are on.
    pub chain: Eth,
    /// The engine.
    pub engine: Address,
    /// The scope.
    pub scope: Address,
    /// The ring.
    pub ring: Address,
}

/// One input of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// A token.
    Token(Digest),
    /// An output pin of another gate.
    Output(Address, u128),
}

/// What a gate is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The scope of its tokens.
    pub scope: Address,
    /// Assigned rings, the primary first.
    pub rings: Vec<Address>,
    /// Inputs; the first is the operation.
    pub inputs: Vec<Pin>,
    /// How many outputs.
    pub outputs: u64,
    /// Makes it another gate than the same without.
    pub salt: [u8; 32],
}

/// The data of a call: the selector of the signature, and the parameters.
pub fn call_data(signature: &str, params: &[Token]) -> Vec<u8> {
    let mut data = keccak256(signature.as_bytes())[..4].to_vec();
    data.extend(abi::encode(params));
    data
}

pub(super) fn address(address: Address) -> Token {
    Token::Address(H160(address.0))
}

pub(super) fn word(digest: Digest) -> Token {
    Token::FixedBytes(digest.0.to_vec())
}

fn number(digest: Digest) -> Token {
    Token::Uint(U256::from_big_endian(&digest.0))
}

pub(super) fn uint(number: u64) -> Token {
    Token::Uint(number.into())
}

fn hex_of(data: &[u8]) -> String {
    format!("0x{}", hex::encode(data))
}

impl Spec {
    fn token(&self) -> Token {
        let inputs = self.inputs.iter().map(|input| match input {
            Pin::Token(token) => {
                Token::Tuple(vec![number(*token), address(Address::ZERO), uint(0)])
            }
            Pin::Output(gate, pin) => {
                Token::Tuple(vec![uint(0), address(*gate), Token::Uint((*pin).into())])
            }
        });
        Token::Tuple(vec![
            address(self.scope),
            Token::Array(self.rings.iter().map(|ring| address(*ring)).collect()),
            Token::Array(inputs.collect()),
            uint(self.outputs),
            Token::FixedBytes(self.salt.to_vec()),
        ])
    }
}

impl Contracts {
    /// `eth_call`; the bytes that it returns, or the error.
    ///
    /// # Errors
    /// What the chain answers, for a call that reverts.
    pub fn view(&self, to: Address, data: &[u8], from: Option<Address>) -> Result<Vec<u8>, Value> {
        let mut call = json!({ "to": to, "data": hex_of(data) });
        if let Some(from) = from {
            call["from"] = json!(from);
        }
        let answer = self.chain.ask("eth_call", &json!([call, "latest"]))?;
        let text = answer.as_str().unwrap().trim_start_matches("0x");
        Ok(hex::decode(text).unwrap())
    }

    fn word_of(&self, to: Address, signature: &str, params: &[Token]) -> Digest {
        let bytes = self.view(to, &call_data(signature, params), None);
        let bytes = bytes.unwrap_or_else(|error| panic!("{signature} of {to}: {error}"));
        Digest(bytes[..32].try_into().unwrap())
    }

    fn number_of(&self, to: Address, signature: &str, params: &[Token]) -> u64 {
        let word = self.word_of(to, signature, params);
        u64::from_be_bytes(word.0[24..].try_into().unwrap())
    }

    /// Declares data; gives the tokens.
    ///
    /// # Panics
    /// When that fails.
    pub fn declare(&self, by: &Account, cids: &[Digest], variable: bool) -> Vec<Digest> {
        let mutability = if variable { VARIABLE } else { CONSTANT };
        let words = cids.iter().map(|cid| word(*cid)).collect();
        let data = call_data(
            "declareData(bytes32[],uint8)",
            &[Token::Array(words), uint(mutability)],
        );
        let tokens = self.view(self.scope, &data, Some(by.address())).unwrap();
        by.done(&self.chain, self.scope, &data);
        let list = ParamType::Array(ParamType::Uint(256).into());
        let decoded = abi::decode(&[list], &tokens).unwrap().remove(0);
        let tokens = decoded.into_array().unwrap().into_iter();
        tokens
            .map(|token| uint_word(token.into_uint().unwrap()))
            .collect()
    }

    /// `readData`; `None` when it reverts.
    pub fn read_data(&self, token: Digest) -> Option<Digest> {
        let data = call_data("readData(uint256)", &[number(token)]);
        let bytes = self.view(self.scope, &data, None).ok()?;
        Some(Digest(bytes[..32].try_into().unwrap()))
    }

    /// A transaction of `writeData`.
    pub fn write_data(&self, by: &Account, token: Digest, cid: Digest) -> Value {
        let data = call_data("writeData(uint256,bytes32)", &[number(token), word(cid)]);
        by.mined(&self.chain, Some(self.scope), &data)
    }

    /// A transaction of `deleteData`.
    pub fn delete_data(&self, by: &Account, token: Digest) -> Value {
        let data = call_data("deleteData(uint256)", &[number(token)]);
        by.mined(&self.chain, Some(self.scope), &data)
    }

    /// `gateOf`
    pub fn gate_of(&self, spec: &Spec) -> Address {
        let word = self.word_of(self.engine, &format!("gateOf({SPEC})"), &[spec.token()]);
        Address(word.0[12..].try_into().unwrap())
    }

    /// The data of `createGate`.
    pub fn create_gate_data(&self, spec: &Spec) -> Vec<u8> {
        call_data(&format!("createGate({SPEC})"), &[spec.token()])
    }

    /// Makes a gate, and gives it.
    ///
    /// # Panics
    /// When that fails.
    pub fn create_gate(&self, by: &Account, spec: &Spec) -> Address {
        let data = self.create_gate_data(spec);
        let gate = self.view(self.engine, &data, Some(by.address())).unwrap();
        by.done(&self.chain, self.engine, &data);
        Address(gate[12..32].try_into().unwrap())
    }

    /// Makes gates in one transaction; an output of `Address` i + 1 is the i-th of them.
    ///
    /// # Panics
    /// When that fails.
    pub fn create_circuit(&self, by: &Account, specs: &[Spec]) -> Vec<Address> {
        let specs = Token::Array(specs.iter().map(Spec::token).collect());
        let data = call_data(&format!("createCircuit({SPEC}[])"), &[specs]);
        let made = self.view(self.engine, &data, Some(by.address())).unwrap();
        by.done(&self.chain, self.engine, &data);
        addresses(&made)
    }

    /// `isResolved` of a gate; a gate that is not there is not resolved.
    pub fn is_resolved(&self, gate: Address) -> bool {
        self.flag(gate, "isResolved()")
    }

    /// `isFailed` of a gate.
    pub fn is_failed(&self, gate: Address) -> bool {
        self.flag(gate, "isFailed()")
    }

    /// Whether nothing more will come of a gate: it is resolved, or has failed with one before it.
    pub fn has_ended(&self, gate: Address) -> bool {
        self.is_resolved(gate) || self.is_failed(gate)
    }

    /// `isReady` of a gate.
    pub fn is_ready(&self, gate: Address) -> bool {
        self.flag(gate, "isReady()")
    }

    fn flag(&self, gate: Address, signature: &str) -> bool {
        let answer = self.view(gate, &call_data(signature, &[]), None);
        answer.is_ok_and(|bytes| bytes.last() == Some(&1))
    }

    /// `outputOf` a gate: the token, zero while unset.
    pub fn output_of(&self, gate: Address, pin: u64) -> Digest {
        self.word_of(gate, "outputOf(uint96)", &[uint(pin)])
    }

    /// The token of a gate's failure record, zero without one.
    pub fn failure_of(&self, gate: Address) -> Digest {
        let pin = Token::Uint((U256::one() << 96) - 1_u64);
        self.word_of(gate, "outputOf(uint96)", &[pin])
    }

    /// `epoch` of the ring.
    pub fn epoch(&self) -> u64 {
        self.number_of(self.ring, "epoch()", &[])
    }

    /// `quorum` of the ring.
    pub fn quorum(&self) -> u64 {
        self.number_of(self.ring, "quorum()", &[])
    }

    /// `getMembers` of the ring.
    pub fn members(&self) -> Vec<Address> {
        let data = call_data("getMembers()", &[]);
        addresses(&self.view(self.ring, &data, None).unwrap())
    }

    /// `isMember` of the ring.
    pub fn is_member(&self, account: Address) -> bool {
        self.number_of(self.ring, "isMember(address)", &[address(account)]) == 1
    }

    /// Who keeps the ring.
    pub fn keeper(&self) -> Address {
        let word = self.word_of(self.engine, "keeperOf(address)", &[address(self.ring)]);
        Address(word.0[12..].try_into().unwrap())
    }

    /// `entryDelay` of the ring, in seconds.
    pub fn entry_delay(&self) -> u64 {
        self.number_of(self.ring, "entryDelay()", &[])
    }

    /// The keeper enters or exits an account; what became of the transaction.
    pub fn change(&self, keeper: &Account, what: &str, account: Address) -> Value {
        let params = [address(self.ring), address(account)];
        let data = call_data(&format!("{what}(address,address)"), &params);
        keeper.mined(&self.chain, Some(self.engine), &data)
    }

    /// `settle`, which anybody may call.
    pub fn settle(&self, by: &Account, account: Address) -> Value {
        let data = call_data("settle(address)", &[address(account)]);
        by.mined(&self.chain, Some(self.ring), &data)
    }

    /// A further ring on the same engine, kept by `keeper`, whose entries count after so many seconds, and in which a
    /// fork removes its author.
    ///
    /// # Panics
    /// When that fails.
    pub fn create_ring(&self, keeper: &Account, members: &[Address], entry_delay: u64) -> Self {
        let members = Token::Array(members.iter().map(|member| address(*member)).collect());
        let params = [
            members,
            address(keeper.address()),
            uint(entry_delay),
            uint(0),
        ];
        let data = call_data("createRing(address[],address,uint256,uint8)", &params);
        let made = self
            .view(self.engine, &data, Some(keeper.address()))
            .unwrap();
        keeper.done(&self.chain, self.engine, &data);
        Self {
            ring: Address(made[12..32].try_into().unwrap()),
            ..self.clone()
        }
    }

    /// A transaction of `registerOutputs` with these signatures, put into the order of their signers' addresses.
    pub fn register(
        &self,
        by: &Account,
        gate: Address,
        outputs: &[(u64, Digest)],
        mut signatures: Vec<(Address, [u8; 65])>,
    ) -> Value {
        signatures.sort_by_key(|(signer, _)| signer.0);
        let part = |from: usize| {
            let parts = signatures.iter();
            Token::Array(
                parts
                    .map(|(_, s)| Token::FixedBytes(s[from..from + 32].to_vec()))
                    .collect(),
            )
        };
        let v = signatures.iter().map(|(_, s)| uint(s[64].into())).collect();
        let data = call_data(
            "registerOutputs(address,uint96[],bytes32[],bytes32[],bytes32[],uint8[])",
            &[
                address(gate),
                Token::Array(outputs.iter().map(|(pin, _)| uint(*pin)).collect()),
                Token::Array(outputs.iter().map(|(_, cid)| word(*cid)).collect()),
                part(0),
                part(32),
                Token::Array(v),
            ],
        );
        by.mined(&self.chain, Some(self.ring), &data)
    }

    /// A member's signature on a result, made from the words of the interface alone.
    pub fn sign_outputs(
        &self,
        by: &Account,
        gate: Address,
        inputs: &[Digest],
        epoch: u64,
        outputs: &[(u64, Digest)],
    ) -> (Address, [u8; 65]) {
        let tokens: Vec<u8> = inputs.iter().flat_map(|token| token.0).collect();
        let pins: Vec<_> = outputs.iter().map(|(pin, _)| pin.to_string()).collect();
        let cids: Vec<_> = outputs.iter().map(|(_, cid)| cid).collect();
        let chain_id = crate::eth::quantity(&self.chain.call("eth_chainId", &json!([])));
        let data = json!({
            "domain": { "name": "Ring", "version": "1", "chainId": chain_id, "verifyingContract": self.ring },
            "primaryType": "Outputs",
            "types": {
                "EIP712Domain": [
                    { "name": "name", "type": "string" },
                    { "name": "version", "type": "string" },
                    { "name": "chainId", "type": "uint256" },
                    { "name": "verifyingContract", "type": "address" },
                ],
                "Outputs": [
                    { "name": "gate", "type": "address" },
                    { "name": "inputs", "type": "bytes32" },
                    { "name": "epoch", "type": "uint256" },
                    { "name": "pins", "type": "uint96[]" },
                    { "name": "cids", "type": "bytes32[]" },
                ],
            },
            "message": {
                "gate": gate,
                "inputs": Digest(keccak256(tokens)),
                "epoch": epoch.to_string(),
                "pins": pins,
                "cids": cids,
            },
        });
        (by.address(), by.sign_typed(data))
    }
}

fn uint_word(number: U256) -> Digest {
    let mut word = [0; 32];
    number.to_big_endian(&mut word);
    Digest(word)
}

fn addresses(bytes: &[u8]) -> Vec<Address> {
    let list = ParamType::Array(ParamType::Address.into());
    let decoded = abi::decode(&[list], bytes).unwrap().remove(0);
    let all = decoded.into_array().unwrap().into_iter();
    all.map(|one| Address(one.into_address().unwrap().0))
        .collect()
}
