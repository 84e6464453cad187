// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The header of a ring node, as far as a contract reads it
/// @notice A header is one block of at most `MAX_SIZE` bytes, whose CID `registerRingNode` takes. It is canonical DAG-CBOR, a
/// list of ten (IPLD's tuple representation), so that what a contract reads stands at fixed places and what varies in length
/// stands behind it:
///
/// | bytes      | what stands there                  | field                                                       |
/// |------------|------------------------------------|-------------------------------------------------------------|
/// | 0          | `8a`                               | a list of ten                                               |
/// | 1          | `01`                               | version: 1                                                  |
/// | 2 … 3      | `58 20`                            | 32 bytes follow                                             |
/// | 4 … 35     |                                    | entriesRoot: keccak Merkle root of the entries, 0 for none  |
/// | 36 … 37    | `58 20`                            | 32 bytes follow                                             |
/// | 38 … 69    |                                    | headsRoot: keccak Merkle root of the heads, 0 for none      |
/// | 70 … 71    | `58 20`                            | 32 bytes follow                                             |
/// | 72 … 103   |                                    | membersHash: `membersHash()` of the ring in that epoch      |
/// | from 104   | unsigned integer                   | epoch                                                       |
/// | then       | unsigned integer                   | number: of this ring node, from 0                           |
/// | then       | link, or `f6` (null) for number 0  | prev: the header of the ring node before                    |
/// | then       | link, or `f6` (null) for number 0  | skip: the header of an earlier one                          |
/// | then       | list of links                      | entryPages: the blocks that hold the entries, in order      |
/// | then, last | list of links                      | headPages: the blocks that hold the heads, in order         |
///
/// The Merkle trees, of entries and of heads alike: a leaf is `keccak256(0x00 ‖ bytes of the leaf)`, an inner node is
/// `keccak256(0x01 ‖ lesser child ‖ greater child)`, compared as numbers. So no leaf can be taken for a node, and a path
/// does not have to say left or right. Each level pairs its nodes from the left; one that is left over goes up as it is.
library RingNodeHeader {
    /// @notice The most bytes of a header.
    uint256 internal constant MAX_SIZE = 1024;

    /// @dev Where the part of fixed form ends.
    uint256 private constant FIXED_SIZE = 104;

    bytes4 private constant LIST_VERSION_AND_WORD = 0x8a015820;
    bytes2 private constant WORD = 0x5820;

    bytes1 private constant LEAF = 0x00;
    bytes1 private constant NODE = 0x01;

    /// @notice Whether `header` begins as a header does, and is no longer than one.
    /// @dev The part after the fixed one is not checked here: the members checked it before they signed.
    function isHeader(bytes calldata header) internal pure returns (bool) {
        if (header.length < FIXED_SIZE || header.length > MAX_SIZE) return false;
        return bytes4(header) == LIST_VERSION_AND_WORD && bytes2(header[36:]) == WORD && bytes2(header[70:]) == WORD;
    }

    /// @notice The root of the entries in `header`, which is one.
    function entriesRoot(bytes calldata header) internal pure returns (bytes32) {
        return bytes32(header[4:]);
    }

    /// @notice The root of the tree in which `path` leads up from the leaf `entry`.
    function rootOf(bytes calldata entry, bytes32[] calldata path) internal pure returns (bytes32 root) {
        root = keccak256(bytes.concat(LEAF, entry));
        for (uint256 i = 0; i < path.length; i++) {
            bytes32 other = path[i];
            root =
                root < other ? keccak256(bytes.concat(NODE, root, other)) : keccak256(bytes.concat(NODE, other, root));
        }
    }
}
