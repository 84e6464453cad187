// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MemberSet} from "../src/libraries/MemberSet.sol";
import {Signatures as Library} from "../src/libraries/Signatures.sol";
import {Fixture, Signatures} from "./utils/Fixture.sol";
import {PlainSignatures} from "./utils/PlainSignatures.sol";
import {LibSort} from "solady/src/utils/LibSort.sol";

contract SignaturesHarness {
    function countGood(bytes memory set, bytes32 digest, bytes32[] calldata r, bytes32[] calldata s, uint8[] calldata v)
        external
        view
        returns (uint256, address)
    {
        return Library.countGood(set, digest, r, s, v);
    }
}

contract SignaturesTest is Fixture {
    uint256 private constant MEMBERS = 6;

    SignaturesHarness private harness = SignaturesHarness(deployCode("Signatures.t.sol:SignaturesHarness"));
    address[] private members;

    function setUp() public override {
        address[] memory sorted = accounts(MEMBERS);
        LibSort.sort(sorted);
        members = sorted;
    }

    function countGood(bytes32 digest, Signatures memory sigs) private view returns (uint256 good, address signer) {
        return harness.countGood(MemberSet.from(members), digest, sigs.r, sigs.s, sigs.v);
    }

    function assertSameAsPlain(bytes32 digest, Signatures memory sigs) private view {
        (uint256 good, address signer) = countGood(digest, sigs);
        (uint256 plainGood, address plainSigner) = PlainSignatures.countGood(members, digest, sigs.r, sigs.s, sigs.v);
        assertEq(good, plainGood, "good");
        assertEq(signer, plainSigner, "signer");
    }

    function signAs(uint256[] memory numbers, bytes32 digest) private returns (Signatures memory) {
        uint256[] memory keys = new uint256[](numbers.length);
        for (uint256 i = 0; i < numbers.length; i++) {
            keys[i] = keyOf[account(numbers[i])];
        }
        return signWith(keys, digest);
    }

    function signAll(bytes32 digest) private view returns (Signatures memory) {
        uint256[] memory keys = new uint256[](MEMBERS);
        for (uint256 i = 0; i < MEMBERS; i++) {
            keys[i] = keyOf[members[i]];
        }
        return signWith(keys, digest);
    }

    /// @dev Somebody's signature of `digest` with this `s`: for most `r` there is a key, though nobody knows it.
    function craft(bytes32 digest, uint256 s) private pure returns (bytes32 r, address signer) {
        for (uint256 i = 1; signer == address(0); i++) {
            r = bytes32(i);
            signer = ecrecover(digest, 27, r, bytes32(s));
        }
    }

    function assertAccepted(bytes32 digest, uint256 s, bool isAccepted) private {
        (bytes32 r, address signer) = craft(digest, s);
        assertEq(Library.signerOf(digest, r, bytes32(s), 27), isAccepted ? signer : address(0));
        members = new address[](0);
        members.push(signer);
        Signatures memory sigs = Signatures(new bytes32[](1), new bytes32[](1), new uint8[](1));
        (sigs.r[0], sigs.s[0], sigs.v[0]) = (r, bytes32(s), 27);
        (uint256 good,) = countGood(digest, sigs);
        assertEq(good, isAccepted ? 1 : 0);
    }

    /// The lower half of the values of `s` ends where the order of the curve is halved.
    function testFuzz_theLowerHalfEndsAtTheMiddle(bytes32 digest) public {
        assertAccepted(digest, N / 2 - 1, true);
        assertAccepted(digest, N / 2, true);
        assertAccepted(digest, N / 2 + 1, false);
    }

    function testFuzz_countGood_all(bytes32 digest) public view {
        (uint256 good, address signer) = countGood(digest, signAll(digest));
        assertEq(good, MEMBERS);
        assertEq(signer, members[MEMBERS - 1]);
    }

    /// Signers in any order, with repetitions and with accounts that are not members.
    function testFuzz_countGood_anySigners(bytes32 digest, uint8[5] memory choice) public {
        uint256[] memory numbers = new uint256[](5);
        for (uint256 i = 0; i < 5; i++) {
            numbers[i] = 1 + choice[i] % (MEMBERS + 2);
        }
        assertSameAsPlain(digest, signAs(numbers, digest));
    }

    /// Members in order, of whom one part of one signature is replaced by anything.
    function testFuzz_countGood_mutated(bytes32 digest, uint8 which, uint8 part, bytes32 value) public view {
        Signatures memory sigs = signAll(digest);
        which = which % uint8(MEMBERS);
        part = part % 3;
        if (part == 0) sigs.r[which] = value;
        else if (part == 1) sigs.s[which] = value;
        else sigs.v[which] = uint8(uint256(value));
        assertSameAsPlain(digest, sigs);
    }

    function testFuzz_countGood_garbage(bytes32 digest, bytes32[3] memory r, bytes32[3] memory s, uint8[3] memory v)
        public
        view
    {
        Signatures memory sigs = Signatures(new bytes32[](3), new bytes32[](3), new uint8[](3));
        for (uint256 i = 0; i < 3; i++) {
            (sigs.r[i], sigs.s[i], sigs.v[i]) = (r[i], s[i], v[i]);
        }
        assertSameAsPlain(digest, sigs);
    }

    function testFuzz_countGood_refusesTheTwin(bytes32 digest, uint8 which) public view {
        Signatures memory sigs = signAll(digest);
        which = which % uint8(MEMBERS);
        sigs.s[which] = bytes32(N - uint256(sigs.s[which]));
        sigs.v[which] = 55 - sigs.v[which];
        assertEq(ecrecover(digest, sigs.v[which], sigs.r[which], sigs.s[which]), members[which], "the twin is valid");
        (uint256 good, address signer) = countGood(digest, sigs);
        assertEq(good, which);
        assertEq(signer, address(0));
    }

    /// forge-config: default.fuzz.runs = 16
    function testFuzz_countGood_oneVOnly(bytes32 digest) public view {
        Signatures memory sigs = signAll(digest);
        uint8 right = sigs.v[0];
        uint256 passed;
        for (uint256 v = 0; v < 256; v++) {
            sigs.v[0] = uint8(v);
            (uint256 good,) = countGood(digest, sigs);
            if (good == MEMBERS) passed++;
            assertEq(good == MEMBERS, v == right);
        }
        assertEq(passed, 1);
    }

    /// A word for `v` whose lowest byte is right, and which the decoder of a `uint8[]` that reads it would refuse.
    function testFuzz_countGood_refusesWideV(bytes32 digest, uint256 above) public view {
        above = bound(above, 1, type(uint248).max);
        Signatures memory sigs = signAll(digest);
        bytes memory data = abi.encodeCall(harness.countGood, (MemberSet.from(members), digest, sigs.r, sigs.s, sigs.v));
        uint256 lastWord = uint256(sigs.v[MEMBERS - 1]) | (above << 8);
        assembly {
            mstore(add(data, mload(data)), lastWord)
        }
        (bool success, bytes memory result) = address(harness).staticcall(data);
        assertTrue(success);
        (uint256 good, address signer) = abi.decode(result, (uint256, address));
        assertEq(good, MEMBERS - 1);
        assertEq(signer, address(0));
    }

    function test_countGood_outOfRange() public view {
        bytes32 digest = keccak256("digest");
        bytes32[5] memory edges = [bytes32(0), bytes32(N), bytes32(N + 1), bytes32(N - 1), bytes32(type(uint256).max)];
        for (uint256 i = 0; i < edges.length; i++) {
            Signatures memory sigs = signAll(digest);
            sigs.s[0] = edges[i];
            (uint256 good, address signer) = countGood(digest, sigs);
            assertEq(good, 0);
            assertEq(signer, address(0));
            sigs = signAll(digest);
            sigs.r[0] = edges[i];
            (good,) = countGood(digest, sigs);
            assertEq(good, 0);
        }
    }

    function test_countGood_nothing() public view {
        (uint256 good, address signer) =
            countGood(keccak256("digest"), Signatures(new bytes32[](0), new bytes32[](0), new uint8[](0)));
        assertEq(good, 0);
        assertEq(signer, address(0));
    }

    function testFuzz_countGood_emptySet(bytes32 digest) public {
        delete members;
        Signatures memory sigs = signAs(new uint256[](1), digest);
        assertSameAsPlain(digest, sigs);
        (uint256 good,) = countGood(digest, sigs);
        assertEq(good, 0);
    }
}
