// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

/// @title Where the logs of a ring and of its members stand
/// @notice Each member writes a log of its own and the ring as a whole writes the ring log. Both are chains of blocks on
/// IPFS; the contract holds the digests of their newest blocks, the heads.
/// @dev Ring nodes are numbered from 0. The newest `CHECKPOINT_FREQUENCY` are in a circular buffer; each one that fills it
/// is archived for good. As every node names the one before it, an archived node commits to all before it: what is
/// overwritten has always been archived in this sense.
interface IRingLogs {
    /// @notice Emitted when the log of `member` moved on to `head`.
    event LogNodeHeadMoved(address indexed member, bytes32 head);

    /// @notice Emitted when ring node `number` was archived for good.
    event RingNodeArchived(uint256 indexed number, bytes32 cid);

    /// @notice Thrown when a digest is zero.
    error NullHead();

    /// @notice Thrown when ring node `number` is not known here: not written yet, or overwritten and between two checkpoints.
    error UnknownRingNode(uint256 number);

    /// @notice How many ring nodes are kept, and each how many-th is archived.
    function CHECKPOINT_FREQUENCY() external view returns (uint256);

    /// @notice What comes before a digest to make it a CID: CIDv1, dag-cbor, sha2-256, 32 bytes.
    function cidPrefix() external view returns (bytes4);

    /// @notice The digest of the newest log node of `member`, 0 before the first.
    function logNodeHeads(address member) external view returns (bytes32);

    /// @notice The digest of the newest ring node, 0 before the first.
    function ringNodeHead() external view returns (bytes32);

    /// @notice How many ring nodes have been written.
    function ringNodeCount() external view returns (uint256);

    /// @notice The digest in `slot` of the circular buffer: that of the newest ring node whose number is `slot` modulo
    /// `CHECKPOINT_FREQUENCY`.
    function ringLogs(uint256 slot) external view returns (bytes32);

    /// @notice The digest of archived ring node `(checkpoint + 1) * CHECKPOINT_FREQUENCY - 1`, 0 if there is none yet.
    function archive(uint256 checkpoint) external view returns (bytes32);

    /// @notice The digest of ring node `number`, from the buffer or the archive.
    function ringNodeAt(uint256 number) external view returns (bytes32);

    /// @notice The digests of at most `count` ring nodes from number `start` on; fewer, or none, where they end. Reverts with
    /// `UnknownRingNode(start)` when that one is no longer in the buffer.
    function ringNodesFrom(uint256 start, uint256 count) external view returns (bytes32[] memory cids);

    /// @notice The digests of at most `count` archived ring nodes from checkpoint `start` on; fewer, or none, where they end.
    function checkpointsFrom(uint256 start, uint256 count) external view returns (bytes32[] memory cids);
}
