// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccount} from "../../src/interfaces/IAccount.sol";
import {CompoundAction} from "../../src/interfaces/IAvatars.sol";
import {IEngine} from "../../src/interfaces/IEngine.sol";
import {IGate} from "../../src/interfaces/IGate.sol";
import {IMembership} from "../../src/interfaces/IMembership.sol";
import {IRing} from "../../src/interfaces/IRing.sol";
import {IScope} from "../../src/interfaces/IScope.sol";
import {Signatures} from "../utils/Fixture.sol";
import {Attacker, ForcedEther} from "./Attacker.sol";
import {LogActions} from "./LogActions.sol";
import {ERC721} from "solady/src/tokens/ERC721.sol";

/// @notice What nobody may do alone, tried by strangers, by members through their flushes, and by gates, scopes and callees
/// in the middle of something else.
abstract contract AttackActions is LogActions {
    uint256 private constant KINDS = 18;
    uint256 private constant GAS = 8_000_000; // so that burning all of it ends

    Attacker public attacker;

    /// @notice Attempts made and refused, outside of the attacker.
    uint256 public refusals;

    constructor() {
        attacker = new Attacker(scope);
    }

    /// @dev Attempt `kind`, by or for `who`; `flushed_` is a flush that has been sent, or is being sent.
    function attempt(uint256 kind, uint256 seed, address who, bytes memory flushed_)
        private
        returns (Attacker.Attempt memory)
    {
        address victim = someMember(seed >> 8);
        if (kind < 4) return Attacker.Attempt(address(ring), onRing(kind, who, victim));
        if (kind < 8) return Attacker.Attempt(address(engine), onEngine(kind, who, victim));
        if (kind < 11) return Attacker.Attempt(address(scope), onScope(kind, who));
        if (kind == 11) return Attacker.Attempt(address(openGate(seed)), onGate());
        if (kind == 12) return Attacker.Attempt(address(ring), unsignedOutputs(seed));
        if (kind == 13) return Attacker.Attempt(address(ring), flushed_);
        if (kind == 15) return Attacker.Attempt(address(ring), abi.encodeCall(IRing.cancelEntries, ()));
        if (kind == 16) return Attacker.Attempt(address(ring), unsignedChange(who, victim));
        if (kind == 17) return Attacker.Attempt(address(engine), abi.encodeCall(IEngine.forceRenounceKeeper, (ring)));
        // Before its avatar's first flush there is no account to be driven.
        address account_ = ring.accountOf(victim);
        if (account_.code.length == 0) return Attacker.Attempt(address(ring), onRing(0, who, victim));
        return Attacker.Attempt(account_, abi.encodeCall(IAccount.execute, (who, 0, 0, "")));
    }

    function onRing(uint256 kind, address who, address victim) private view returns (bytes memory) {
        bytes32[] memory none = new bytes32[](0);
        if (kind == 0) return abi.encodeCall(IRing.enter, (who));
        if (kind == 1) return abi.encodeCall(IRing.exit, (victim));
        if (kind == 2) return abi.encodeCall(IRing.initialize, (people));
        return abi.encodeCall(IRing.registerRingNode, ("node", new address[](0), none, none, none, new uint8[](0)));
    }

    function onEngine(uint256 kind, address who, address victim) private view returns (bytes memory) {
        if (kind == 4) return abi.encodeCall(IEngine.enter, (ring, who));
        if (kind == 5) return abi.encodeCall(IEngine.exit, (ring, victim));
        if (kind == 6) return abi.encodeCall(IEngine.transferKeeper, (ring, who));
        return abi.encodeCall(IEngine.acceptKeeper, (ring));
    }

    function onScope(uint256 kind, address who) private view returns (bytes memory) {
        if (kind == 8) return abi.encodeCall(IScope.deleteData, (variable));
        if (kind == 9) return abi.encodeCall(IScope.writeData, (variable, "other"));
        return abi.encodeCall(ERC721.transferFrom, (keeper, who, variable));
    }

    function onGate() private returns (bytes memory) {
        uint256[] memory tokenIds = new uint256[](1);
        tokenIds[0] = declare(keccak256("forged"));
        return abi.encodeCall(IGate.output, (onePin(0), tokenIds));
    }

    function unsignedOutputs(uint256 seed) private returns (bytes memory) {
        IGate gate = openGate(seed);
        Signatures memory sigs = sign(ring, "something else", ring.quorum());
        return abi.encodeCall(IRing.registerOutputs, (gate, onePin(0), digests("forged", 1), sigs.r, sigs.s, sigs.v));
    }

    /// @dev What two thirds signed is something else.
    function unsignedChange(address who, address victim) private view returns (bytes memory) {
        Signatures memory sigs = sign(ring, "something else", ring.quorum());
        address[] memory enter = isIn(who) ? noAccounts() : only(who);
        return abi.encodeCall(IMembership.changeMembers, (enter, only(victim), block.timestamp, sigs.r, sigs.s, sigs.v));
    }

    /// @dev Every kind there is.
    function attempts(uint256 seed, address who, bytes memory flushed_)
        private
        returns (Attacker.Attempt[] memory all)
    {
        all = new Attacker.Attempt[](KINDS);
        for (uint256 kind = 0; kind < KINDS; kind++) {
            all[kind] = attempt(kind, seed, who, flushed_);
        }
    }

    /// @dev A stranger, or a member for itself, goes to every door.
    function intrude(uint256 seed) external {
        address who = people[seed % ACCOUNTS];
        Attacker.Attempt[] memory all = attempts(seed, who, "");
        bytes32 state = stateWithout(address(0), address(0));
        for (uint256 i = 0; i < all.length; i++) {
            if (i == 13) continue; // nothing was flushed
            vm.prank(who);
            (bool success,) = all[i].to.call(all[i].data);
            require(!success, "a way in");
            refusals++;
        }
        require(state == stateWithout(address(0), address(0)), "an intruder changed something");
    }

    /// @dev A member signs one of these and flushes it: the whole is refused, and its nonce is as it was.
    function flushForbidden(uint256 seed) external {
        address avatar = someMember(seed);
        uint256 kind = (seed >> 16) % 16;
        Attacker.Attempt memory what = attempt(kind < 13 ? kind : kind + 2, seed, avatar, "");
        CompoundAction memory action = nextAction(ring, avatar, what.to, what.data);
        bytes memory data = flushData(ring, action);
        bytes32 state = stateWithout(address(0), address(0));
        (bool success,) = address(ring).call{gas: GAS}(data);
        require(!success, "a member did alone what needs two thirds");
        require(state == stateWithout(address(0), address(0)), "a refused flush changed something");
        refusals++;
    }

    /// @dev A member flushes a call of the attacker, which re-enters everything, this flush among it, and misbehaves.
    function flushToAttacker(uint256 seed) external {
        address avatar = someMember(seed);
        CompoundAction memory action = nextAction(ring, avatar, address(attacker), hex"01");
        bytes memory data = flushData(ring, action);
        attacker.arm(Attacker.Mode(seed % 6), false, attempts(seed, avatar, data));
        bytes32 state = stateWithout(avatar, avatar);
        (bool success,) = address(ring).call{gas: GAS}(data);
        require(state == stateWithout(avatar, avatar), "what a member flushed changed something");
        if (success) flushed(action);
        requireRefused();
    }

    /// @dev Two thirds were made to sign for a gate that is hostile, or whose scope is.
    function registerWithAttacker(uint256 seed) external {
        needMembers(1);
        IGate gate = IGate(address(attacker));
        bytes32[] memory cids = digests(bytes32(seed), 1);
        Signatures memory sigs = sign(ring, outputsDigest(ring, gate, onePin(0), cids), ring.quorum());
        attacker.arm(Attacker.Mode(seed % 6), seed & 64 != 0, attempts(seed, address(attacker), ""));
        bytes32 state = stateWithout(address(0), address(0));
        bytes memory data = abi.encodeCall(IRing.registerOutputs, (gate, onePin(0), cids, sigs.r, sigs.s, sigs.v));
        (bool success,) = address(ring).call{gas: GAS}(data);
        require(success || seed % 6 != 0, "quiet gates are served");
        require(state == stateWithout(address(0), address(0)), "a gate changed something");
        requireRefused();
    }

    function requireRefused() private view {
        require(attacker.successes() == 0, "a way in from inside");
    }

    function forceEther(uint256 seed) external {
        vm.deal(address(this), 1 + seed % 100);
        new ForcedEther{value: 1 + seed % 100}(payable(address(ring)));
        forcedEther += 1 + seed % 100;
    }
}
