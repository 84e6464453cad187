// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

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
        vm.assume(uint256(cid) > 1);
        uint256 tokenId = constant_(alice, cid);
        assertEq(tokenId, uint256(cid) - uint256(cid) % 2);
        assertEq(scope.readData(tokenId), cid);
        assertEq(tokens.ownerOf(tokenId), alice);
        assertTrue(scope.exists(tokenId));
    }

    function testFuzz_constant_again(bytes32 cid) public {
        vm.assume(uint256(cid) > 1);
        uint256 tokenId = constant_(alice, cid);
        vm.record();
        assertEq(constant_(bob, cid), tokenId);
        (, bytes32[] memory writes) = vm.accesses(address(scope));
        assertEq(writes.length, 0);
        assertEq(tokens.ownerOf(tokenId), alice);
        assertEq(tokens.balanceOf(bob), 0);
    }

    function testFuzz_constant_severalWithRepetition(bytes32 first, bytes32 second) public {
        vm.assume(uint256(first) > 1 && uint256(second) > 1 && (first ^ second) != bytes32(uint256(1)));
        bytes32[] memory cids = new bytes32[](3);
        (cids[0], cids[1], cids[2]) = (first, second, first);
        uint256[] memory ids = scope.declareData(cids, Mutability.Constant);
        assertEq(ids[0], ids[2]);
        assertEq(ids[1], constantId(second));
    }

    function test_constant_null() public {
        for (uint256 cid = 0; cid < 2; cid++) {
            assertNotDeclared(bytes32(cid), Mutability.Constant, abi.encodeWithSelector(IScope.NullDigest.selector));
        }
    }

    function testFuzz_constant_twin(bytes32 cid) public {
        vm.assume(uint256(cid) > 1);
        uint256 tokenId = constant_(alice, cid);
        bytes memory reason = abi.encodeWithSelector(IScope.DigestTaken.selector, tokenId, cid);
        assertNotDeclared(cid ^ bytes32(uint256(1)), Mutability.Constant, reason);
    }

    function testFuzz_constant_isThereForGood(bytes32 cid) public {
        vm.assume(uint256(cid) > 1);
        uint256 tokenId = constant_(alice, cid);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IScope.ConstantData.selector, tokenId));
        scope.writeData(tokenId, keccak256("other"));
        vm.expectRevert(abi.encodeWithSelector(IScope.ConstantData.selector, tokenId));
        scope.deleteData(tokenId);
    }

    function testFuzz_constant_keepsItsDigestWhenTransferred(bytes32 cid) public {
        vm.assume(uint256(cid) > 1);
        uint256 tokenId = constant_(alice, cid);
        vm.prank(alice);
        tokens.transferFrom(alice, bob, tokenId);
        assertEq(tokens.ownerOf(tokenId), bob);
        assertEq(scope.readData(tokenId), cid);
    }

    // proveData

    function testFuzz_proveData_new(bytes memory data) public {
        vm.expectEmit(address(scope));
        emit IScope.DataProven(constantId(sha256(data)), sha256(data));
        vm.prank(alice);
        uint256 tokenId = scope.proveData(data);
        assertEq(scope.readData(tokenId), sha256(data));
        assertEq(tokens.ownerOf(tokenId), alice);
        assertEq(constant_(bob, sha256(data)), tokenId);
    }

    function testFuzz_proveData_putsRight(bytes memory data) public {
        bytes32 twin = sha256(data) ^ bytes32(uint256(1));
        uint256 tokenId = constant_(alice, twin);
        assertEq(scope.proveData(data), tokenId);
        assertEq(scope.readData(tokenId), sha256(data));
        assertEq(tokens.ownerOf(tokenId), alice);
        assertEq(constant_(bob, sha256(data)), tokenId);
        bytes memory reason = abi.encodeWithSelector(IScope.DigestTaken.selector, tokenId, sha256(data));
        assertNotDeclared(twin, Mutability.Constant, reason);
    }

    // Variables

    function testFuzz_variable(bytes32 first, bytes32 second) public {
        vm.assume(first != 0 && second != 0);
        uint256 tokenId = variable(alice, first);
        assertEq(tokenId % 2, 1);
        assertEq(scope.readData(tokenId), first);
        vm.expectEmit(address(scope));
        emit IScope.DataWritten(tokenId, second);
        vm.prank(alice);
        scope.writeData(tokenId, second);
        assertEq(scope.readData(tokenId), second);
    }

    function testFuzz_variable_idsAreNotUsedAgain(bytes32 cid) public {
        vm.assume(cid != 0);
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

    function testFuzz_readData_nothing(uint256 tokenId) public {
        vm.expectRevert(ERC721.TokenDoesNotExist.selector);
        scope.readData(tokenId);
        assertFalse(scope.exists(tokenId));
    }

    function testFuzz_writeAndDelete_nothing(uint256 tokenId) public {
        tokenId |= 1;
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

    function test_supportsInterface() public view {
        assertTrue(tokens.supportsInterface(0x80ac58cd)); // ERC-721
        assertTrue(tokens.supportsInterface(0x5b5e139f)); // ERC-721 metadata
        assertFalse(tokens.supportsInterface(0xffffffff));
    }
}
