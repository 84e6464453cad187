// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Entry, IRegistry, Kind} from "../src/interfaces/IRegistry.sol";
import {Test} from "forge-std/Test.sol";

contract RegistryTest is Test {
    address private alice = makeAddr("alice");
    address private bob = makeAddr("bob");
    IRegistry private registry;

    function setUp() public {
        registry = IRegistry(deployCode("Registry.sol:Registry"));
    }

    function registerAs(address who, bytes32 hash, string memory name) private {
        vm.prank(who);
        registry.register(Kind.Service, hash, name, "1.0", "about");
    }

    function assertEntry(Entry memory entry, address owner, bytes32 hash, string memory name) private pure {
        assertEq(entry.owner, owner);
        assertEq(entry.hash, hash);
        assertEq(entry.name, name);
        assertEq(entry.version, "1.0");
        assertEq(entry.description, "about");
        assertEq(uint256(entry.kind), uint256(Kind.Service));
        assertFalse(entry.withdrawn);
    }

    function testFuzz_register(address owner, bytes32 hash) public {
        vm.assume(hash != 0);
        vm.expectEmit();
        emit IRegistry.Registered(hash, owner, Kind.Service, "car", "1.0", "about");
        registerAs(owner, hash, "car");
        assertEq(registry.entryCount(), 1);
        assertEntry(registry.entryOf(hash, owner), owner, hash, "car");
        assertEntry(registry.entries(0, 10)[0], owner, hash, "car");
    }

    function test_register_again_changes_the_entry() public {
        registerAs(alice, "a", "car");
        registerAs(alice, "a", "electric car");
        assertEq(registry.entryCount(), 1);
        assertEntry(registry.entryOf("a", alice), alice, "a", "electric car");
    }

    function test_register_of_others_stays_as_it_is() public {
        registerAs(alice, "a", "car");
        registerAs(bob, "a", "wrong");
        assertEq(registry.entryCount(), 2);
        assertEntry(registry.entryOf("a", alice), alice, "a", "car");
        assertEntry(registry.entryOf("a", bob), bob, "a", "wrong");
        vm.prank(bob);
        registry.withdraw("a", true);
        assertFalse(registry.entryOf("a", alice).withdrawn);
        assertTrue(registry.entryOf("a", bob).withdrawn);
    }

    function test_register_refuses() public {
        vm.expectRevert(IRegistry.NullHash.selector);
        registry.register(Kind.Service, 0, "car", "1", 0);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.WrongLength.selector, 0, 64));
        registry.register(Kind.Service, "a", "", "1", 0);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.WrongLength.selector, 0, 32));
        registry.register(Kind.Service, "a", "car", "", 0);
        string memory name = string(new bytes(65));
        vm.expectRevert(abi.encodeWithSelector(IRegistry.WrongLength.selector, 65, 64));
        registry.register(Kind.Service, "a", name, "1", 0);
        string memory version = string(new bytes(33));
        vm.expectRevert(abi.encodeWithSelector(IRegistry.WrongLength.selector, 33, 32));
        registry.register(Kind.Service, "a", "car", version, 0);
        registry.register(Kind.Service, "a", string(new bytes(64)), string(new bytes(32)), 0);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.OtherKind.selector, bytes32("a"), Kind.Service));
        registry.register(Kind.Process, "a", "car", "1", 0);
    }

    function test_withdraw() public {
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotRegistered.selector, bytes32("a"), alice));
        vm.prank(alice);
        registry.withdraw("a", true);
        registerAs(alice, "a", "car");
        vm.expectEmit();
        emit IRegistry.Withdrawn("a", alice, true);
        vm.prank(alice);
        registry.withdraw("a", true);
        assertTrue(registry.entryOf("a", alice).withdrawn);
        // Another name does not bring it back.
        registerAs(alice, "a", "electric car");
        assertTrue(registry.entryOf("a", alice).withdrawn);
        vm.prank(alice);
        registry.withdraw("a", false);
        assertFalse(registry.entryOf("a", alice).withdrawn);
    }

    function test_entryOf_refuses() public {
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotRegistered.selector, bytes32("a"), bob));
        registry.entryOf("a", bob);
    }

    function testFuzz_entries(uint8 count, uint8 from, uint256 limit) public {
        uint256 all = bound(count, 0, 20);
        for (uint256 i = 0; i < all; ++i) {
            registerAs(alice, bytes32(i + 1), "car");
        }
        Entry[] memory page = registry.entries(from, limit);
        uint256 left = from < all ? all - from : 0;
        assertEq(page.length, limit < left ? limit : left);
        for (uint256 i = 0; i < page.length; ++i) {
            assertEq(page[i].hash, bytes32(from + i + 1));
        }
    }
}
