// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRingLogs} from "./interfaces/IRingLogs.sol";
import {Page} from "./libraries/Page.sol";
import {RingNodeHeader} from "./libraries/RingNodeHeader.sol";

/// @title The heads of the logs, and the ring log's newest nodes and checkpoints
/// @dev The head of the ring log has no slot of its own: it is the newest entry of the buffer.
abstract contract RingLogs is IRingLogs {
    /// @inheritdoc IRingLogs
    uint256 public constant CHECKPOINT_FREQUENCY = 100;

    /// @inheritdoc IRingLogs
    bytes4 public constant cidPrefix = 0x01711220;

    /// @inheritdoc IRingLogs
    mapping(address member => bytes32) public logNodeHeads;

    /// @inheritdoc IRingLogs
    bytes32[CHECKPOINT_FREQUENCY] public ringLogs;

    /// @inheritdoc IRingLogs
    mapping(uint256 checkpoint => bytes32) public archive;

    /// @dev Last, so that it shares a slot with the variables of the contract that comes after.
    uint40 private _ringNodeCount;

    /// @inheritdoc IRingLogs
    function ringNodeCount() external view returns (uint256) {
        return _ringNodeCount;
    }

    /// @inheritdoc IRingLogs
    function ringNodeHead() public view returns (bytes32) {
        uint256 count = _ringNodeCount;
        return count == 0 ? bytes32(0) : ringLogs[(count - 1) % CHECKPOINT_FREQUENCY];
    }

    /// @inheritdoc IRingLogs
    function ringNodeAt(uint256 number) external view returns (bytes32 cid) {
        cid = _ringNodeAt(number);
        require(cid != 0, UnknownRingNode(number));
    }

    /// @inheritdoc IRingLogs
    function proveResult(bytes calldata header, uint256 number, bytes calldata entry, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        bytes32 cid = _ringNodeAt(number);
        if (cid == 0 || !RingNodeHeader.isHeader(header) || sha256(header) != cid) return false;
        return RingNodeHeader.rootOf(entry, path) == RingNodeHeader.entriesRoot(header);
    }

    /// @inheritdoc IRingLogs
    function ringNodesFrom(uint256 start, uint256 count) external view returns (bytes32[] memory cids) {
        uint256 written = _ringNodeCount;
        uint256 oldest = written > CHECKPOINT_FREQUENCY ? written - CHECKPOINT_FREQUENCY : 0;
        require(start >= oldest, UnknownRingNode(start));
        cids = new bytes32[](Page.size(start, count, written));
        for (uint256 i = 0; i < cids.length; i++) {
            cids[i] = ringLogs[(start + i) % CHECKPOINT_FREQUENCY];
        }
    }

    /// @inheritdoc IRingLogs
    function checkpointsFrom(uint256 start, uint256 count) external view returns (bytes32[] memory cids) {
        cids = new bytes32[](Page.size(start, count, _ringNodeCount / CHECKPOINT_FREQUENCY));
        for (uint256 i = 0; i < cids.length; i++) {
            cids[i] = archive[start + i];
        }
    }

    /// @dev Makes `cid` the newest ring node. The slot it takes held the node written `CHECKPOINT_FREQUENCY` before, and
    /// a node at least as new as that one has been archived.
    function _pushRingNode(bytes32 cid) internal {
        require(cid != 0, NullHead());
        uint256 number = _ringNodeCount++;
        ringLogs[number % CHECKPOINT_FREQUENCY] = cid;
        if (!_isCheckpoint(number)) return;
        archive[number / CHECKPOINT_FREQUENCY] = cid;
        emit RingNodeArchived(number, cid);
    }

    /// @dev Not checked: the previous head. The caller has read it here, and the signatures cover it.
    function _moveHead(address member, bytes32 head) internal {
        require(head != 0, NullHead());
        logNodeHeads[member] = head;
        emit LogNodeHeadMoved(member, head);
    }

    /// @dev The digest of ring node `number`; 0 if it is not known here.
    function _ringNodeAt(uint256 number) private view returns (bytes32) {
        uint256 count = _ringNodeCount;
        if (number >= count) return 0;
        if (count - number <= CHECKPOINT_FREQUENCY) return ringLogs[number % CHECKPOINT_FREQUENCY];
        return _isCheckpoint(number) ? archive[number / CHECKPOINT_FREQUENCY] : bytes32(0);
    }

    function _isCheckpoint(uint256 number) private pure returns (bool) {
        return number % CHECKPOINT_FREQUENCY == CHECKPOINT_FREQUENCY - 1;
    }
}
