// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MemberSet} from "../../src/libraries/MemberSet.sol";
import {Signatures} from "../../src/libraries/Signatures.sol";
import {Test} from "forge-std/Test.sol";

/// @notice What holds for every signature: `anvil-scripts/prove symbolic`.
contract SignaturesSymbolicTest is Test {
    uint256 private constant N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    function countGood(
        address[] memory members,
        bytes32 digest,
        bytes32[] calldata r,
        bytes32[] calldata s,
        uint8[] calldata v
    ) external view returns (uint256 good) {
        (good,) = Signatures.countGood(MemberSet.from(members), digest, r, s, v);
    }

    function passes(address member, bytes32 digest, bytes32 r, bytes32 s, uint8 v) private view returns (bool) {
        (address[] memory members, bytes32[] memory rs, bytes32[] memory ss) =
            (new address[](1), new bytes32[](1), new bytes32[](1));
        uint8[] memory vs = new uint8[](1);
        (members[0], rs[0], ss[0], vs[0]) = (member, r, s, v);
        return this.countGood(members, digest, rs, ss, vs) == 1;
    }

    /// A signature and its twin never both pass, whatever `v` the twin has.
    function check_twin(address member, bytes32 digest, bytes32 r, uint256 s, uint8 v, uint8 otherV) public view {
        vm.assume(member != address(0) && s < N);
        bool both = passes(member, digest, r, bytes32(s), v) && passes(member, digest, r, bytes32(N - s), otherV);
        assertFalse(both);
    }

    /// What passes is what the precompile says of the member, with the lower `s`.
    function check_one(address member, bytes32 digest, bytes32 r, bytes32 s, uint8 v) public view {
        vm.assume(member != address(0));
        bool isGood = uint256(s) <= N / 2 && ecrecover(digest, v, r, s) == member;
        assertEq(passes(member, digest, r, s, v), isGood);
    }

    /// Two signatures pass only if they are of two members, in their order.
    function check_two(
        address[2] memory who,
        bytes32 digest,
        bytes32[2] memory r,
        bytes32[2] memory s,
        uint8[2] memory v
    ) public view {
        vm.assume(who[0] != address(0) && who[0] < who[1]);
        (address[] memory members, bytes32[] memory rs, bytes32[] memory ss) =
            (new address[](2), new bytes32[](2), new bytes32[](2));
        uint8[] memory vs = new uint8[](2);
        for (uint256 i = 0; i < 2; i++) {
            (members[i], rs[i], ss[i], vs[i]) = (who[i], r[i], s[i], v[i]);
        }
        if (this.countGood(members, digest, rs, ss, vs) != 2) return;
        assertEq(ecrecover(digest, v[0], r[0], s[0]), who[0]);
        assertEq(ecrecover(digest, v[1], r[1], s[1]), who[1]);
        assertLe(uint256(s[0]), N / 2);
        assertLe(uint256(s[1]), N / 2);
    }
}
