// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Scope} from "../src/Scope.sol";
import {IScope, Mutability} from "../src/interfaces/IScope.sol";
import {Fixture} from "./utils/Fixture.sol";
import {ERC721} from "solady/src/tokens/ERC721.sol";

contract ScopeTest is Fixture {
    address private alice = makeAddr("alice");
    address private bob = makeAddr("bob");
    Scope private tokens;

    function setUp() public override {
        super.setUp();
        tokens = Scope(address(scope));
    }

    function declareAs(address who, bytes32 cid, Mutability mutability) private returns (uint256) {
        bytes32[] memory cids = new bytes32[](1);
        cids[0] = cid;
        vm.prank(who);
        return scope.declareData(cids, mutability)[0];
    }

    function constant_(address who, bytes32 cid) private returns (uint256) {
        return declareAs(who, cid, Mutability.Constant);
    }

    function variable(address who, bytes32 cid) private returns (uint256) {
        return declareAs(who, cid, Mutability.Variable);
    }

    function assertNotDeclared(bytes32 cid, Mutability mutability, bytes memory reason) private {
        bytes32[] memory cids = new bytes32[](1);
        cids[0] = cid;
        vm.expectRevert(reason);
        scope.declareData(cids, mutability);
    }

    // Constants

    function testFuzz_constant(bytes32 cid) public {
        vm.assume(uint256(cid) > type(uint160).max);
        uint256 tokenId = constant_(alice, cid);
        assertEq(tokenId, uint256(cid));
        assertEq(scope.readData(tokenId), cid);
        assertEq(tokens.ownerOf(tokenId), alice);
        assertTrue(scope.exists(tokenId));
        assertFalse(scope.isVariable(tokenId));
    }

    function testFuzz_constant_again(bytes32 cid) public {
        vm.assume(uint256(cid) > type(uint160).max);
        uint256 tokenId = constant_(alice, cid);
        vm.record();
        assertEq(constant_(bob, cid), tokenId);
        (, bytes32[] memory writes) = vm.accesses(address(scope));
        assertEq(writes.length, 0);
        assertEq(tokens.ownerOf(tokenId), alice);
        assertEq(tokens.balanceOf(bob), 0);
    }

    function testFuzz_constant_severalWithRepetition(bytes32 first, bytes32 second) public {
        vm.assume(uint256(first) > type(uint160).max && uint256(second) > type(uint160).max);
        bytes32[] memory cids = new bytes32[](3);
        (cids[0], cids[1], cids[2]) = (first, second, first);
        uint256[] memory ids = scope.declareData(cids, Mutability.Constant);
        assertEq(ids[0], ids[2]);
        assertEq(ids[1], uint256(second));
    }

    /// A stranger who declares any digests before, however near they are to one's own, takes nothing away.
    function testFuzz_constant_neighboursAreStrangers(bytes32 cid, uint8 bit) public {
        bytes32 near = cid ^ bytes32(uint256(1) << bit);
        vm.assume(uint256(cid) > type(uint160).max && uint256(near) > type(uint160).max);
        uint256 theirs = constant_(bob, near);
        uint256 mine = constant_(alice, cid);
        assertNotEq(mine, theirs);
        assertEq(scope.readData(mine), cid);
        assertEq(scope.readData(theirs), near);
        assertEq(tokens.ownerOf(mine), alice);
    }

    /// The id does not depend on who declares what and in which order: so it is the same on every branch of a chain.
    function testFuzz_constant_idInAnyOrder(bytes32[5] memory cids, uint256 order) public {
        for (uint256 i = 0; i < 5; i++) {
            bytes32 cid = cids[addmod(order, i, 5)];
            vm.assume(uint256(cid) > type(uint160).max);
            assertEq(constant_((order >> i) % 2 == 0 ? alice : bob, cid), uint256(cid));
        }
    }

    function test_constant_null() public {
        assertNotDeclared(0, Mutability.Constant, abi.encodeWithSelector(IScope.NullDigest.selector));
    }

    /// What would have the id of a variable.
    function testFuzz_constant_tooSmall(uint160 cid) public {
        vm.assume(cid != 0);
        bytes memory reason = abi.encodeWithSelector(IScope.DigestTooSmall.selector, bytes32(uint256(cid)));
        assertNotDeclared(bytes32(uint256(cid)), Mutability.Constant, reason);
        assertNotDeclared(bytes32(uint256(cid)), Mutability.Variable, reason);
    }

    function test_constant_smallest() public {
        uint256 smallest = uint256(type(uint160).max) + 1;
        assertEq(constant_(alice, bytes32(smallest)), smallest);
        bytes32 largestRefused = bytes32(smallest - 1);
        assertNotDeclared(
            largestRefused, Mutability.Constant, abi.encodeWithSelector(IScope.DigestTooSmall.selector, largestRefused)
        );
    }

    function testFuzz_constant_isThereForGood(bytes32 cid) public {
        vm.assume(uint256(cid) > type(uint160).max);
        uint256 tokenId = constant_(alice, cid);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IScope.ConstantData.selector, tokenId));
        scope.writeData(tokenId, keccak256("other"));
        vm.expectRevert(abi.encodeWithSelector(IScope.ConstantData.selector, tokenId));
        scope.deleteData(tokenId);
    }

    function testFuzz_constant_keepsItsDigestWhenTransferred(bytes32 cid) public {
        vm.assume(uint256(cid) > type(uint160).max);
        uint256 tokenId = constant_(alice, cid);
        vm.prank(alice);
        tokens.transferFrom(alice, bob, tokenId);
        assertEq(tokens.ownerOf(tokenId), bob);
        assertEq(scope.readData(tokenId), cid);
        assertFalse(scope.isVariable(tokenId));
    }

    // Variables

    function testFuzz_variable(bytes32 first, bytes32 second) public {
        vm.assume(uint256(first) > type(uint160).max && uint256(second) > type(uint160).max);
        uint256 tokenId = variable(alice, first);
        assertTrue(scope.isVariable(tokenId));
        assertEq(scope.readData(tokenId), first);
        vm.expectEmit(address(scope));
        emit IScope.DataWritten(tokenId, second);
        vm.prank(alice);
        scope.writeData(tokenId, second);
        assertEq(scope.readData(tokenId), second);
    }

    function testFuzz_variable_idsAreNotUsedAgain(bytes32 cid) public {
        vm.assume(uint256(cid) > type(uint160).max);
        uint256 first = variable(alice, cid);
        uint256 second = variable(alice, cid);
        assertNotEq(first, second);
        vm.expectEmit(address(scope));
        emit IScope.DataDeleted(second);
        vm.prank(alice);
        scope.deleteData(second);
        uint256 third = variable(alice, cid);
        assertTrue(third != first && third != second);
        assertFalse(scope.exists(second));
        assertFalse(scope.isVariable(second));
        vm.expectRevert(ERC721.TokenDoesNotExist.selector);
        scope.readData(second);
    }

    function testFuzz_variable_ownerOnly(address stranger) public {
        vm.assume(stranger != alice);
        uint256 tokenId = variable(alice, keccak256("data"));
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IScope.NotTokenOwner.selector, tokenId, stranger));
        scope.writeData(tokenId, keccak256("other"));
        vm.expectRevert(abi.encodeWithSelector(IScope.NotTokenOwner.selector, tokenId, stranger));
        scope.deleteData(tokenId);
    }

    function test_variable_goesWithTheToken() public {
        uint256 tokenId = variable(alice, keccak256("data"));
        vm.prank(alice);
        tokens.transferFrom(alice, bob, tokenId);
        vm.prank(bob);
        scope.writeData(tokenId, keccak256("other"));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IScope.NotTokenOwner.selector, tokenId, alice));
        scope.writeData(tokenId, keccak256("third"));
    }

    function test_variable_null() public {
        assertNotDeclared(0, Mutability.Variable, abi.encodeWithSelector(IScope.NullDigest.selector));
        uint256 tokenId = variable(alice, keccak256("data"));
        vm.prank(alice);
        vm.expectRevert(IScope.NullDigest.selector);
        scope.writeData(tokenId, 0);
    }

    /// What a variable holds is a constant too, and stays one.
    function testFuzz_variable_holdsAConstant(bytes32 first, bytes32 second) public {
        vm.assume(uint256(first) > type(uint160).max && uint256(second) > type(uint160).max);
        uint256 tokenId = variable(alice, first);
        vm.startPrank(alice);
        scope.writeData(tokenId, second);
        scope.deleteData(tokenId);
        assertEq(scope.readData(uint256(first)), first);
        assertEq(scope.readData(uint256(second)), second);
        assertEq(tokens.balanceOf(alice), first == second ? 1 : 2);
    }

    function test_variable_tooSmall() public {
        uint256 tokenId = variable(alice, keccak256("data"));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IScope.DigestTooSmall.selector, bytes32(uint256(7))));
        scope.writeData(tokenId, bytes32(uint256(7)));
        assertEq(scope.readData(tokenId), keccak256("data"));
    }

    /// The id is a hash of who declares it and the number of its own variables: nobody else's doing moves it.
    function testFuzz_variable_id(uint8 mine, uint8 others) public {
        for (uint256 i = 0; i < others % 4; i++) {
            variable(bob, keccak256(abi.encode(i)));
            constant_(alice, keccak256(abi.encode(i)));
        }
        for (uint256 i = 0; i < mine % 4; i++) {
            assertEq(variable(alice, "any digest, of thirty-two bytes"), variableId(alice, i));
        }
        assertEq(scope.variableCountOf(alice), mine % 4);
        assertEq(scope.variableCountOf(bob), others % 4);
    }

    /// Who declares first does not take the id that another expects, whatever they declare.
    function test_variable_notTakenByAFrontRunner() public {
        uint256 expected = variableId(alice, 0);
        bytes memory reason = abi.encodeWithSelector(IScope.DigestTooSmall.selector, bytes32(expected));
        assertNotDeclared(bytes32(expected), Mutability.Constant, reason);
        variable(bob, keccak256("front"));
        assertEq(variable(alice, keccak256("data")), expected);
        assertEq(tokens.ownerOf(expected), alice);
        assertEq(scope.readData(expected), keccak256("data"));
    }

    function testFuzz_readData_nothing(uint256 tokenId) public {
        vm.expectRevert(ERC721.TokenDoesNotExist.selector);
        scope.readData(tokenId);
        assertFalse(scope.exists(tokenId));
    }

    function testFuzz_writeAndDelete_nothing(uint256 tokenId) public {
        vm.expectRevert(ERC721.TokenDoesNotExist.selector);
        scope.writeData(tokenId, keccak256("data"));
        vm.expectRevert(ERC721.TokenDoesNotExist.selector);
        scope.deleteData(tokenId);
    }

    // ERC-721

    /// The empty file, as `ipfs add` names it.
    function test_tokenURI() public {
        bytes32 cid = 0xbfccda787baba32b59c78450ac3d20b633360b43992c77289f9ed46d843561e6;
        uint256 tokenId = constant_(alice, cid);
        assertEq(tokens.tokenURI(tokenId), "ipfs://QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
        assertEq(tokens.multihashPrefix(), hex"1220");
    }

    function test_tokenURI_nothing() public {
        vm.expectRevert(ERC721.TokenDoesNotExist.selector);
        tokens.tokenURI(4);
    }

    function testFuzz_names(string memory name, string memory symbol) public {
        vm.assume(bytes(name).length < 256 && bytes(symbol).length < 256);
        Scope made = Scope(address(engine.createScope(name, symbol)));
        assertEq(made.name(), name);
        assertEq(made.symbol(), symbol);
    }

    function test_names_atTheirLongest() public {
        string memory long = string(new bytes(255));
        Scope made = Scope(address(engine.createScope(long, long)));
        assertEq(made.name(), long);
        assertEq(made.symbol(), long);
    }

    /// ERC-721 lets these functions take ether; a scope could not give it back.
    function test_etherIsRefused() public {
        uint256 tokenId = constant_(alice, keccak256("data"));
        assertEtherRefused(abi.encodeWithSignature("approve(address,uint256)", bob, tokenId));
        assertEtherRefused(abi.encodeWithSignature("transferFrom(address,address,uint256)", alice, bob, tokenId));
        assertEtherRefused(abi.encodeWithSignature("safeTransferFrom(address,address,uint256)", alice, bob, tokenId));
        assertEtherRefused(
            abi.encodeWithSignature("safeTransferFrom(address,address,uint256,bytes)", alice, bob, tokenId, "")
        );
        assertEq(address(tokens).balance, 0);
        assertEq(tokens.ownerOf(tokenId), alice);
    }

    function assertEtherRefused(bytes memory data) private {
        uint256 fork = newerVm.snapshotState();
        vm.prank(alice);
        (bool success,) = address(tokens).call(data);
        assertTrue(success);
        newerVm.revertToState(fork);
        vm.deal(alice, 1 ether);
        vm.prank(alice);
        bytes memory reason;
        (success, reason) = address(tokens).call{value: 1}(data);
        assertFalse(success);
        assertEq(reason, abi.encodeWithSelector(IScope.EtherNotAccepted.selector, 1));
    }

    function test_etherIsRefused_withNothingElse() public {
        vm.deal(alice, 1 ether);
        vm.prank(alice);
        (bool success,) = address(tokens).call{value: 1}("");
        assertFalse(success);
    }

    function test_supportsInterface() public view {
        assertTrue(tokens.supportsInterface(0x80ac58cd)); // ERC-721
        assertTrue(tokens.supportsInterface(0x5b5e139f)); // ERC-721 metadata
        assertFalse(tokens.supportsInterface(0xffffffff));
    }
}
