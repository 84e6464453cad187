// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

/// @title Who signed
library Signatures {
    /// @dev Half of the order of secp256k1, rounded down.
    uint256 internal constant MAX_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @notice The account that signed `digest`, or zero if this is no signature.
    /// @dev Every signature has a twin: `s` subtracted from the order of the curve, and the other `v`. Only the one with
    /// the lower `s` is accepted. `ecrecover` itself gives zero for a `v` other than 27 and 28 and for `r` or `s` out of range.
    function recover(bytes32 digest, bytes32 r, bytes32 s, uint8 v) internal pure returns (address) {
        if (uint256(s) > MAX_S) return address(0);
        return ecrecover(digest, v, r, s);
    }
}
