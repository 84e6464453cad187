// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccount} from "../src/interfaces/IAccount.sol";
import {CompoundAction} from "../src/interfaces/IAvatars.sol";
import {IEngine} from "../src/interfaces/IEngine.sol";
import {ForkRule} from "../src/interfaces/IMembership.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @notice Says of anything that it is so.
contract Liar {
    address private immutable TELLER = msg.sender;

    function isMember(address) external pure returns (bool) {
        return true;
    }

    function accountOf(address) external view returns (address) {
        return TELLER;
    }
}

contract ClientsTest is Fixture {
    IRing private replica;
    IRing private client;
    address private avatar;

    function setUp() public override {
        super.setUp();
        replica = makeRing(3);
        client = makeRing(5);
        avatar = account(5);
    }

    function registration(IRing from, address who) private view returns (CompoundAction memory) {
        return nextAction(from, who, address(replica), abi.encodeCall(IRing.registerRing, (from, who)));
    }

    function ending(IRing from, address who) private view returns (CompoundAction memory) {
        return nextAction(from, who, address(replica), abi.encodeCall(IRing.unregisterRing, (from, who)));
    }

    function assertRefused(CompoundAction memory action, bytes memory reason) private {
        (bytes32 r, bytes32 s, uint8 v) = signAction(client, action);
        vm.expectRevert(abi.encodeWithSelector(IAccount.CallFailed.selector, replica, reason));
        client.flush(action, r, s, v);
    }

    function test_registerRing() public {
        (bytes32 r, bytes32 s, uint8 v) = signAction(client, registration(client, avatar));
        CompoundAction memory action = registration(client, avatar);
        vm.expectEmit(address(replica));
        emit IRing.RingRegistered(address(client), avatar);
        client.flush(action, r, s, v);
        assertTrue(replica.isClient(client));
        assertFalse(client.isClient(replica));
        assertEq(replica.clientCount(), 1);
        assertEq(address(replica.clientsFrom(0, 10)[0]), address(client));
    }

    function test_registerRing_twice() public {
        flush(client, registration(client, avatar));
        bytes memory reason = abi.encodeWithSelector(IRing.AlreadyRegistered.selector, client);
        assertRefused(registration(client, account(1)), reason);
    }

    function testFuzz_registerRing_byTheAccountOnly(address caller) public {
        vm.assume(caller != client.accountOf(avatar));
        bytes memory reason = abi.encodeWithSelector(IRing.NotAccountOf.selector, client, avatar, caller);
        vm.startPrank(caller);
        vm.expectRevert(reason);
        replica.registerRing(client, avatar);
        vm.expectRevert(reason);
        replica.unregisterRing(client, avatar);
    }

    /// Not by the avatar itself, not by the account it has in another ring, not in another member's name.
    function test_registerRing_byOtherAccounts() public {
        address[3] memory callers = [avatar, replica.accountOf(avatar), client.accountOf(account(4))];
        for (uint256 i = 0; i < callers.length; i++) {
            vm.prank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(IRing.NotAccountOf.selector, client, avatar, callers[i]));
            replica.registerRing(client, avatar);
        }
    }

    /// An account remains its avatar's after the avatar has left; it does not speak for the ring any more.
    function test_registerRing_formerMember() public {
        vm.prank(keeper);
        engine.exit(client, avatar);
        bytes memory reason = abi.encodeWithSelector(IRing.NotMemberOf.selector, client, avatar);
        bytes memory data = abi.encodeCall(IRing.registerRing, (client, avatar));
        vm.prank(avatar);
        vm.expectRevert(abi.encodeWithSelector(IAccount.CallFailed.selector, replica, reason));
        client.rescue(address(replica), 0, data);
    }

    function test_registerRing_liars() public {
        IRing liar = IRing(address(new Liar()));
        vm.expectRevert(abi.encodeWithSelector(IRing.NotARing.selector, liar));
        replica.registerRing(liar, avatar);
        IEngine second = newEngine();
        address[] memory members = accounts(5);
        IRing foreign = second.createRing(members, address(this), 0, ForkRule.Remove);
        address its = foreign.accountOf(avatar);
        vm.prank(its);
        vm.expectRevert(abi.encodeWithSelector(IRing.NotARing.selector, foreign));
        replica.registerRing(foreign, avatar);
        (IRing implementation,,) = engine.implementations();
        vm.expectRevert(abi.encodeWithSelector(IRing.NotARing.selector, implementation));
        replica.registerRing(implementation, avatar);
    }

    function testFuzz_registerRing_ether(uint96 value) public {
        vm.assume(value != 0);
        vm.deal(client.accountOf(avatar), value);
        CompoundAction memory action = registration(client, avatar);
        action.value = value;
        assertRefused(action, abi.encodeWithSelector(IRing.PaymentNotAccepted.selector, value));
        assertEq(client.accountOf(avatar).balance, value);
    }

    /// By any member: the one who registered the ring may have left.
    function testFuzz_unregisterRing(uint8 which) public {
        flush(client, registration(client, avatar));
        vm.prank(keeper);
        engine.exit(client, avatar);
        address other = account(1 + which % 4);
        CompoundAction memory action = ending(client, other);
        (bytes32 r, bytes32 s, uint8 v) = signAction(client, action);
        vm.expectEmit(address(replica));
        emit IRing.RingUnregistered(address(client), other);
        client.flush(action, r, s, v);
        assertFalse(replica.isClient(client));
        assertEq(replica.clientCount(), 0);
    }

    function test_unregisterRing_unknown() public {
        assertRefused(ending(client, avatar), abi.encodeWithSelector(IRing.NotRegistered.selector, client));
        flush(client, registration(client, avatar));
        flush(client, ending(client, avatar));
        assertRefused(ending(client, avatar), abi.encodeWithSelector(IRing.NotRegistered.selector, client));
        flush(client, registration(client, avatar));
        assertTrue(replica.isClient(client));
    }

    /// Against a list in which everything is looked for.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_clients(uint256 seed, uint256 start, uint256 count) public {
        IRing[] memory rings = new IRing[](6);
        bool[] memory isIn = new bool[](6);
        uint256 size;
        for (uint256 i = 0; i < rings.length; i++) {
            rings[i] = makeRing(1);
        }
        for (uint256 i = 0; i < 24; i++) {
            uint256 pick = uint256(keccak256(abi.encode(seed, i))) % 6;
            address member = account(1);
            flush(rings[pick], isIn[pick] ? ending(rings[pick], member) : registration(rings[pick], member));
            isIn[pick] = !isIn[pick];
            size = isIn[pick] ? size + 1 : size - 1;
            assertEq(replica.clientCount(), size);
        }
        IRing[] memory all = replica.clientsFrom(0, type(uint256).max);
        assertEq(all.length, size);
        for (uint256 i = 0; i < 6; i++) {
            uint256 found;
            for (uint256 k = 0; k < size; k++) {
                if (address(all[k]) == address(rings[i])) found++;
            }
            assertEq(found, isIn[i] ? 1 : 0);
            assertEq(replica.isClient(rings[i]), isIn[i]);
        }
        assertPage(all, start % 8, count % 8);
    }

    function assertPage(IRing[] memory all, uint256 start, uint256 count) private view {
        IRing[] memory page = replica.clientsFrom(start, count);
        uint256 rest = start < all.length ? all.length - start : 0;
        assertEq(page.length, rest < count ? rest : count);
        for (uint256 i = 0; i < page.length; i++) {
            assertEq(address(page[i]), address(all[start + i]));
        }
    }
}
