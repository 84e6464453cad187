// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {GateSpec, IGate, Input} from "../src/interfaces/IGate.sol";
import {ForkRule} from "../src/interfaces/IMembership.sol";
import {IRegistry, Kind} from "../src/interfaces/IRegistry.sol";
import {IRing, SignedNode} from "../src/interfaces/IRing.sol";
import {Digests} from "./utils/Digests.sol";
import {Fixture, Signatures} from "./utils/Fixture.sol";

/// @notice Stores what it is given.
contract Storer {
    mapping(uint256 key => bytes32) private values;

    function store(uint256 key, bytes32 value) external {
        values[key] = value;
    }

    fallback() external {}
}

/// @notice What things cost, each as a transaction of its own: with its 21,000 gas and its calldata, on cold slots.
/// @dev The figures are in `contracts/snapshots`, and the tests fail when they change.
/// forge-config: default.isolate = true
contract GasTest is Fixture {
    function snapshot(string memory name) private {
        newerVm.snapshotGasLastCall("Gas", name);
    }

    /// @dev The ring has declared a constant before, as every ring has but once.
    function warmRing(uint256 members) private returns (IRing ring) {
        ring = makeRing(members);
        resolve(ring, makeGate(ring, 3));
    }

    function registerOutputs(uint256 members, uint256 signatures, uint96 outputs) private {
        IRing ring = warmRing(members);
        IGate gate = makeGate(ring, outputs);
        uint96[] memory pins = pinsFrom(0, outputs);
        bytes32[] memory cids = digests("outputs", outputs);
        register(ring, gate, pins, cids, sign(ring, outputsDigest(ring, gate, pins, cids), signatures));
    }

    function test_registry_register() public {
        IRegistry registry = IRegistry(deployCode("Registry.sol:Registry"));
        registry.register(Kind.Service, "first", "electric_car", "1.0.0", "about");
        snapshot("registry: first entry of an account");
        registry.register(Kind.Service, "first", "electric_car", "1.0.1", "about");
        snapshot("registry: another version of it");
        registry.withdraw("first", true);
        snapshot("registry: withdraw");
    }

    function test_registerOutputs_4of5_1output() public {
        registerOutputs(5, 4, 1);
        snapshot("registerOutputs: 5 members, 4 signatures, 1 output");
    }

    function test_registerOutputs_5of5_1output() public {
        registerOutputs(5, 5, 1);
        snapshot("registerOutputs: 5 members, 5 signatures, 1 output");
    }

    function test_registerOutputs_4of5_2outputs() public {
        registerOutputs(5, 4, 2);
        snapshot("registerOutputs: 5 members, 4 signatures, 2 outputs");
    }

    function test_registerOutputs_4of5_10outputs() public {
        registerOutputs(5, 4, 10);
        snapshot("registerOutputs: 5 members, 4 signatures, 10 outputs");
    }

    function test_registerOutputs_4of5_firstOfRing() public {
        IRing ring = makeRing(5);
        resolve(ring, makeGate(ring, 1));
        snapshot("registerOutputs: 5 members, 4 signatures, 1 output, the ring's first");
    }

    function test_registerOutputs_4of5_failure() public {
        IRing ring = warmRing(5);
        fail(ring, makeGate(ring, 1));
        snapshot("registerOutputs: 5 members, 4 signatures, failure");
    }

    function registerAfter(uint256 tokens, uint256 futures) private {
        IRing ring = warmRing(5);
        GateSpec memory spec = makeSpec(ring, 1, tokens + futures);
        for (uint256 i = 0; i < tokens + futures; i++) {
            bytes32 salt = keccak256(abi.encode(i));
            if (i < tokens) {
                spec.inputs[1 + i] = token(declare(salt));
                continue;
            }
            GateSpec memory upstream = makeSpec(ring, 1, 0);
            upstream.salt = salt;
            IGate gate = engine.createGate(upstream);
            resolve(ring, gate);
            spec.inputs[1 + i] = future(gate, 0);
        }
        resolve(ring, engine.createGate(spec));
    }

    function test_registerOutputs_4of5_100tokens() public {
        registerAfter(100, 0);
        snapshot("registerOutputs: 5 members, 4 signatures, 1 output of 101 tokens");
    }

    function test_registerOutputs_4of5_10futures() public {
        registerAfter(0, 10);
        snapshot("registerOutputs: 5 members, 4 signatures, 1 output of 1 token and 10 futures");
    }

    function test_registerOutputs_171of256_1output() public {
        registerOutputs(256, 171, 1);
        snapshot("registerOutputs: 256 members, 171 signatures, 1 output");
    }

    function test_registerRingNode_4of5_4heads() public {
        IRing ring = makeRing(5);
        address[] memory movers = new address[](4);
        for (uint256 i = 0; i < 4; i++) {
            movers[i] = ring.getMembers()[i];
        }
        for (uint256 i = 0; i <= 101; i++) {
            registerNode(ring, keccak256(abi.encode(i)), movers, digests(bytes32(i), 4));
        }
        snapshot("registerRingNode: 5 members, 4 signatures, 4 heads, warm buffer");
    }

    function test_flush() public {
        IRing ring = makeRing(5);
        address nobody = makeAddr("nobody");
        for (uint256 i = 0; i < 2; i++) {
            flush(ring, nextAction(ring, account(1), nobody, ""));
            snapshot(i == 0 ? "flush: an empty call, the avatar's first" : "flush: an empty call");
        }
        flush(ring, nextAction(ring, account(1), address(0), ""));
        snapshot("flush: only the head");
    }

    function test_flush_store() public {
        IRing ring = makeRing(5);
        Storer storer = new Storer();
        flush(ring, nextAction(ring, account(1), address(storer), ""));
        bytes memory data = abi.encodeCall(Storer.store, (1, bytes32("value")));
        flush(ring, nextAction(ring, account(1), address(storer), data));
        snapshot("flush: a call that stores a new word");
    }

    function test_registerRing() public {
        (IRing replica, IRing client) = (makeRing(3), makeRing(5));
        address member = account(1);
        flush(client, nextAction(client, member, address(1), ""));
        bytes memory data = abi.encodeCall(IRing.registerRing, (client, member));
        flush(client, nextAction(client, member, address(replica), data));
        snapshot("registerRing: flushed to the client ring");
    }

    function signNode(IRing ring, bytes32 content) private returns (SignedNode memory node) {
        bytes32 digest = Digests.logNode(block.chainid, address(ring), 7, "prev", content);
        (node.prev, node.content) = ("prev", content);
        (node.v, node.r, node.s) = vm.sign(keyOf[account(1)], digest);
    }

    function test_proveFork() public {
        IRing ring = makeRing(5);
        (SignedNode memory one, SignedNode memory other) = (signNode(ring, "one"), signNode(ring, "other"));
        ring.proveFork(7, one, other);
        snapshot("proveFork: one of 5 members");
    }

    function test_createGate_2tokens_1future() public {
        IRing ring = makeRing(5);
        GateSpec memory spec = makeSpec(ring, 1, 2);
        spec.inputs[1] = token(declare(keccak256("data")));
        spec.inputs[2] = future(makeGate(ring, 1), 0);
        engine.createGate(spec);
        snapshot("createGate: 2 tokens, 1 future, 1 output");
        engine.createGate(spec);
        snapshot("createGate: the same again");
    }

    /// What each assigned ring costs in a request for a gate that exists: its event, 1,875, and reading and hashing its address.
    function test_createGate_eventForEachRing() public {
        GateSpec memory spec = makeSpec(makeRing(5), 1, 0);
        engine.createGate(spec);
        engine.createGate(spec);
        uint256 one = newerVm.snapshotGasLastCall("Gas", "createGate: the same again, 1 ring");
        spec.rings = new IRing[](16);
        for (uint256 i = 0; i < 16; i++) {
            spec.rings[i] = makeRing(1);
        }
        engine.createGate(spec);
        engine.createGate(spec);
        uint256 sixteen = newerVm.snapshotGasLastCall("Gas", "createGate: the same again, 16 rings");
        uint256 calldataOfOne = 12 * 4 + 20 * 16;
        assertLe((sixteen - one) / 15 - calldataOfOne, 2_700);
    }

    function test_createGate_2tokens() public {
        GateSpec memory spec = makeSpec(makeRing(5), 1, 1);
        spec.inputs[1] = token(declare(keccak256("data")));
        engine.createGate(spec);
        snapshot("createGate: 2 tokens, 1 output");
    }

    function test_createRing() public {
        makeRing(5);
        snapshot("createRing: 5 members");
        makeRing(256);
        snapshot("createRing: 256 members");
    }

    /// By the keeper: an entry in two steps; who is put out is counted until the delay has passed.
    function test_membership31_kept() public {
        IRing ring = makeRing(30, keeper, 1 days, ForkRule.Remove);
        announce(ring, account(31));
        snapshot("enter: the 31st member, announced");
        vm.warp(block.timestamp + 1 days);
        ring.settle(account(31));
        snapshot("settle: the 31st member");
        putOut(ring, account(17));
        snapshot("exit: one of 31 members");
        IGate gate = makeGate(ring, 1);
        resolve(ring, makeGate(ring, 3));
        resolve(ring, gate);
        snapshot("registerOutputs: 30 members, 1 counted exit, 21 signatures, 1 output");
    }

    /// By the members.
    function test_membership31_byTwoThirds() public {
        IRing ring = makeRing(31, address(0), 1 days, ForkRule.Remove);
        change(ring, only(account(32)), only(account(17)));
        snapshot("changeMembers: one in, one out, 31 members, 21 signatures");
        vm.prank(account(1));
        ring.leave();
        snapshot("leave: one of 31 members");
    }

    /// The proof that one of a thousand entries is in a ring node, as another contract would ask for it.
    function test_proveResult() public {
        IRing ring = makeRing(5);
        bytes memory header = abi.encodePacked(hex"8a015820", keccak256(abi.encodePacked(uint8(0), new bytes(128))));
        for (uint256 i = 0; i < 2; i++) {
            header = abi.encodePacked(header, hex"5820", bytes32(0));
        }
        header = abi.encodePacked(header, new bytes(296)); // pages, of 400 bytes in all
        registerNode(ring, sha256(header), new address[](0), new bytes32[](0));
        assertTrue(ring.proveResult(header, 0, new bytes(128), new bytes32[](0)));
        ring.proveResult(header, 0, new bytes(128), new bytes32[](10));
        snapshot("proveResult: a header of 400 bytes, an entry of 128, a path of 10");
    }

    function test_createScope() public {
        engine.createScope("Data", "DATA");
        snapshot("createScope");
    }

    function test_declareData() public {
        declare(keccak256("first"));
        declare(keccak256("second"));
        snapshot("declareData: a new constant");
        declare(keccak256("second"));
        snapshot("declareData: a constant that exists");
    }
}
