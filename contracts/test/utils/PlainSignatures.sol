// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice `Signatures.countGood` without assembly, and without having been derived from it.
library PlainSignatures {
    uint256 private constant N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    function countGood(
        address[] memory members,
        bytes32 digest,
        bytes32[] memory r,
        bytes32[] memory s,
        uint8[] memory v
    ) internal pure returns (uint256, address) {
        address previous;
        for (uint256 i = 0; i < r.length; i++) {
            address signer = uint256(s[i]) <= N / 2 ? ecrecover(digest, v[i], r[i], s[i]) : address(0);
            if (signer <= previous || !isAmong(members, signer)) return (i, signer);
            previous = signer;
        }
        return (r.length, previous);
    }

    function isAmong(address[] memory members, address account) internal pure returns (bool) {
        for (uint256 i = 0; i < members.length; i++) {
            if (members[i] == account) return true;
        }
        return false;
    }
}
