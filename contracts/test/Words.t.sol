// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {Words} from "../src/libraries/Words.sol";
import {Test} from "forge-std/Test.sol";

contract WordsTest is Test {
    function words(uint96[] calldata values) external pure returns (uint256[] memory) {
        return Words.from(values);
    }

    /// The plain way: one element after the other.
    function testFuzz_from(uint96[] calldata values) public view {
        uint256[] memory expected = new uint256[](values.length);
        for (uint256 i = 0; i < values.length; i++) {
            expected[i] = values[i];
        }
        assertEq(this.words(values), expected);
        assertEq(keccak256(abi.encodePacked(Words.from(values))), keccak256(abi.encodePacked(values)));
    }
}
