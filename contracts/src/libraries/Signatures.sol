// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Who signed
library Signatures {
    /// @dev Half of the order of secp256k1, rounded down.
    uint256 internal constant MAX_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @notice The signer of `digest`; zero if it is not a signature in the one form that `countGood` accepts.
    function signerOf(bytes32 digest, bytes32 r, bytes32 s, uint8 v) internal pure returns (address) {
        return uint256(s) > MAX_S ? address(0) : ecrecover(digest, v, r, s);
    }

    /// @notice How many signatures of `digest`, from the first on, are by members of `set` in ascending order, each once; and
    /// the signer of the next one, zero if that is not a valid signature. If all are good, `good` is the length of `r`.
    /// @dev Every signature has a twin: `s` subtracted from the order of the curve, and the other `v`. Only the one with the
    /// lower `s` is accepted. The precompile itself gives nothing for a `v` other than 27 and 28 (in all 256 bits, so a word
    /// that is no `uint8` fails too) and for `r` or `s` out of range; the word that its answer would replace is zero. Zero is
    /// not in `set`.
    ///
    /// Signers and members both ascend, so each member is looked at once in all. Not checked: that `s` and `v` are as long
    /// as `r`.
    ///
    /// The assembly costs 4,576 gas for each signature, where a loop in Solidity took 5,534; the
    /// precompile and the calldata are 4,264 of these. Its twin for the tests is `test/utils/PlainSignatures.sol`.
    function countGood(bytes memory set, bytes32 digest, bytes32[] calldata r, bytes32[] calldata s, uint8[] calldata v)
        internal
        view
        returns (uint256 good, address signer)
    {
        assembly ("memory-safe") {
            let m := mload(0x40)
            let place := add(set, 32)
            let end := add(place, mload(set))
            mstore(m, digest)
            for {} lt(good, r.length) { good := add(good, 1) } {
                let sWord := calldataload(add(s.offset, shl(5, good)))
                mstore(add(m, 0x20), calldataload(add(v.offset, shl(5, good))))
                mstore(add(m, 0x40), calldataload(add(r.offset, shl(5, good))))
                mstore(add(m, 0x60), sWord)
                mstore(0, 0)
                pop(staticcall(gas(), 1, m, 0x80, 0, 0x20))
                signer := mul(mload(0), iszero(gt(sWord, MAX_S)))

                for {} and(lt(place, end), lt(shr(96, mload(place)), signer)) {} { place := add(place, 20) }
                if iszero(and(lt(place, end), eq(shr(96, mload(place)), signer))) { break }
                place := add(place, 20)
            }
        }
    }
}
