// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CompoundAction} from "../../src/interfaces/IAvatars.sol";
import {IRing} from "../../src/interfaces/IRing.sol";

/// @notice EIP-712, written a second time, from the specification: what members sign.
library Digests {
    function domain(uint256 chainId, address ring) internal pure returns (bytes32) {
        bytes32 typeHash =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(typeHash, keccak256("Ring"), keccak256("1"), chainId, ring));
    }

    function typed(uint256 chainId, address ring, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("\x19\x01", domain(chainId, ring), structHash));
    }

    function outputs(
        IRing ring,
        uint256 chainId,
        address gate,
        bytes32 inputs,
        uint256 epoch,
        uint96[] memory pins,
        bytes32[] memory cids
    ) internal pure returns (bytes32) {
        bytes32 typeHash = keccak256("Outputs(address gate,bytes32 inputs,uint256 epoch,uint96[] pins,bytes32[] cids)");
        bytes memory words;
        for (uint256 i = 0; i < pins.length; i++) {
            words = bytes.concat(words, bytes32(uint256(pins[i])));
        }
        bytes32 structHash = keccak256(abi.encode(typeHash, gate, inputs, epoch, keccak256(words), hash(cids)));
        return typed(chainId, address(ring), structHash);
    }

    /// @dev After the ring's present state.
    function ringNode(IRing ring, bytes32 cid, address[] memory members_, bytes32[] memory heads)
        internal
        view
        returns (bytes32)
    {
        bytes32[] memory prevHeads = new bytes32[](members_.length);
        for (uint256 i = 0; i < members_.length; i++) {
            prevHeads[i] = ring.logNodeHeads(members_[i]);
        }
        return ringNodeAfter(ring, ring.ringNodeHead(), cid, members_, prevHeads, heads);
    }

    function ringNodeAfter(
        IRing ring,
        bytes32 prev,
        bytes32 cid,
        address[] memory members_,
        bytes32[] memory prevHeads,
        bytes32[] memory heads
    ) internal view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "RingNode(bytes32 prev,bytes32 cid,uint256 epoch,address[] members,bytes32[] prevHeads,bytes32[] heads)"
        );
        bytes32 structHash =
            keccak256(abi.encode(typeHash, prev, cid, ring.epoch(), hash(members_), hash(prevHeads), hash(heads)));
        return typed(block.chainid, address(ring), structHash);
    }

    function action(uint256 chainId, address ring, CompoundAction memory what) internal pure returns (bytes32) {
        bytes memory words = abi.encode(
            keccak256(
                "CompoundAction(address avatar,bytes32 prevHead,bytes32 newHead,uint256 nonce,uint256 deadline,address to,uint256 value,uint256 gas,bytes data)"
            ),
            what.avatar,
            what.prevHead,
            what.newHead,
            what.nonce,
            what.deadline,
            what.to,
            what.value,
            what.gas,
            keccak256(what.data)
        );
        return typed(chainId, ring, keccak256(words));
    }

    /// @dev Of the ring's present membership.
    function members(IRing ring, address[] memory enter, address[] memory exit, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        return membersAt(ring, ring.getMembers(), ring.epoch(), enter, exit, deadline);
    }

    function membersAt(
        IRing ring,
        address[] memory list,
        uint256 epoch,
        address[] memory enter,
        address[] memory exit,
        uint256 deadline
    ) internal view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "Members(bytes32 membersHash,uint256 epoch,address[] enter,address[] exit,uint256 deadline)"
        );
        bytes memory words = abi.encode(typeHash, hash(list), epoch, hash(enter), hash(exit), deadline);
        return typed(block.chainid, address(ring), keccak256(words));
    }

    function logNode(uint256 chainId, address ring, uint64 seq, bytes32 prev, bytes32 content)
        internal
        pure
        returns (bytes32)
    {
        bytes32 typeHash = keccak256("LogNode(uint64 seq,bytes32 prev,bytes32 content)");
        return typed(chainId, ring, keccak256(abi.encode(typeHash, seq, prev, content)));
    }

    /// @dev As `membersHash` is defined: each address in a word of its own.
    function hash(address[] memory values) internal pure returns (bytes32) {
        bytes memory words;
        for (uint256 i = 0; i < values.length; i++) {
            words = bytes.concat(words, bytes32(uint256(uint160(values[i]))));
        }
        return keccak256(words);
    }

    function hash(bytes32[] memory values) private pure returns (bytes32) {
        bytes memory words;
        for (uint256 i = 0; i < values.length; i++) {
            words = bytes.concat(words, values[i]);
        }
        return keccak256(words);
    }
}
