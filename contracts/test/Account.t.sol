// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Account as AvatarAccount} from "../src/Account.sol";
import {IAccount} from "../src/interfaces/IAccount.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {Callee} from "./utils/Callee.sol";
import {Fixture} from "./utils/Fixture.sol";
import {ERC1155} from "solady/src/tokens/ERC1155.sol";
import {ERC721} from "solady/src/tokens/ERC721.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

contract Tokens is ERC1155 {
    function uri(uint256) public pure override returns (string memory) {
        return "";
    }

    function mint(address to, uint256 id) external {
        _mint(to, id, 1, "");
    }

    function mintBatch(address to, uint256[] calldata ids) external {
        _batchMint(to, ids, ids, "");
    }
}

contract AccountTest is Fixture {
    IRing private ring;
    address private avatar;
    IAccount private its;
    Callee private callee;

    function setUp() public override {
        super.setUp();
        ring = makeRing(5);
        callee = new Callee();
        avatar = account(2);
        its = IAccount(ring.accountOf(avatar));
    }

    function make() private {
        flush(ring, nextAction(ring, avatar, address(callee), ""));
    }

    // Who drives it

    function testFuzz_execute_ringOnly(address caller) public {
        vm.assume(caller != address(ring));
        make();
        vm.deal(address(its), 1 ether);
        assertNotDriven(caller);
        assertNotDriven(avatar);
        assertNotDriven(address(engine));
        assertNotDriven(keeper);
        assertNotDriven(address(its));
        assertEq(address(its).balance, 1 ether);
    }

    function assertNotDriven(address caller) private {
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IAccount.NotRing.selector, caller));
        its.execute(caller, 1 ether, 0, "");
    }

    /// Another ring's avatar of the same name has another account, and no way to this one.
    function test_execute_anotherRing() public {
        make();
        IRing second = makeRing(5);
        bytes memory data = abi.encodeCall(IAccount.execute, (avatar, 0, 0, ""));
        bytes memory reason = abi.encodeWithSelector(IAccount.NotRing.selector, second.accountOf(avatar));
        (bool success, bytes memory result) =
            address(second).call(flushData(second, nextAction(second, avatar, address(its), data)));
        assertFalse(success);
        assertEq(result, abi.encodeWithSelector(IAccount.CallFailed.selector, its, reason));
    }

    /// The account cannot be made to drive itself, by which a call could be hidden in a call.
    function test_execute_itself() public {
        bytes memory data = abi.encodeCall(IAccount.execute, (address(callee), 0, 0, ""));
        make();
        (bool success,) = address(ring).call(flushData(ring, nextAction(ring, avatar, address(its), data)));
        assertFalse(success);
    }

    /// A clone that somebody makes of the same code, for the same ring and avatar, is at another address.
    function testFuzz_accountOf_spoofed(bytes32 salt, address spoofer) public {
        vm.assume(spoofer != address(ring));
        make();
        address implementation = address(bytes20(slice(address(its).code, 10)));
        bytes memory arguments = abi.encodePacked(ring, avatar);
        vm.prank(spoofer);
        address copy = LibClone.cloneDeterministic(implementation, arguments, salt);
        assertEq(IAccount(copy).avatar(), avatar);
        assertNotEq(copy, ring.accountOf(avatar));
        vm.prank(spoofer);
        vm.expectRevert(abi.encodeWithSelector(IAccount.NotRing.selector, spoofer));
        IAccount(copy).execute(address(callee), 0, 0, "");
    }

    function slice(bytes memory code, uint256 start) private pure returns (bytes32 word) {
        assembly {
            word := mload(add(add(code, 32), start))
        }
    }

    function testFuzz_implementation(address caller) public {
        AvatarAccount implementation = AvatarAccount(payable(deployCode("Account.sol:Account")));
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IAccount.NotRing.selector, caller));
        implementation.execute(caller, 0, 0, "");
    }

    // Gas

    /// @dev What the account does for its ring with `limit` gas, when `gas` of it must arrive.
    function executeWith(uint256 limit, uint256 value, uint256 gas)
        private
        returns (bool success, bytes memory reason)
    {
        bytes memory call = abi.encodeCall(Callee.remember, ());
        bytes memory data = abi.encodeCall(IAccount.execute, (address(callee), value, gas, call));
        vm.prank(address(ring));
        (success, reason) = address(its).call{gas: limit}(data);
    }

    function notEnough(uint256 available, uint256 gas) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccount.NotEnoughGas.selector, available, gas);
    }

    /// A refusal says to the unit how much may be asked for: with that the call is made, with one more it is not.
    function testFuzz_execute_gasToTheUnit(uint256 limit, bool pays) public {
        limit = bound(limit, 200_000, 2_000_000);
        uint256 value = pays ? 1 : 0;
        make();
        vm.deal(address(its), value);
        (, bytes memory reason) = executeWith(limit, value, type(uint256).max);
        uint256 available = uint256(slice(reason, 4));
        assertEq(reason, notEnough(available, type(uint256).max));
        (, reason) = executeWith(limit, value, available + 1);
        assertEq(reason, notEnough(available, available + 1));
        uint256 calls = callee.calls();
        (bool success,) = executeWith(limit, value, available);
        assertTrue(success);
        assertEq(callee.calls(), calls + 1);
    }

    /// With less than a payment itself may cost, nothing of the gas would arrive.
    function test_execute_noGasForTheCallItself() public {
        make();
        vm.deal(address(its), 1);
        (bool success, bytes memory reason) = executeWith(30_000, 1, 1);
        assertFalse(success);
        assertEq(reason, notEnough(0, 1));
    }

    // What it holds

    function testFuzz_receive(uint96 before, uint96 later) public {
        vm.deal(address(its), before);
        make();
        vm.deal(address(this), later);
        (bool success,) = address(its).call{value: later}("");
        assertTrue(success);
        assertEq(address(its).balance, uint256(before) + later);
    }

    function test_receive_tokens_before() public {
        receiveTokens();
    }

    function test_receive_tokens_after() public {
        make();
        receiveTokens();
    }

    function receiveTokens() private {
        Tokens tokens = new Tokens();
        uint256[] memory ids = new uint256[](1);
        ids[0] = 7;
        tokens.mint(address(its), 5);
        tokens.mintBatch(address(its), ids);
        assertEq(tokens.balanceOf(address(its), 5), 1);
        assertEq(tokens.balanceOf(address(its), 7), 7);
        uint256 tokenId = declare("constant");
        ERC721(address(scope)).safeTransferFrom(address(this), address(its), tokenId);
        assertEq(ERC721(address(scope)).ownerOf(tokenId), address(its));
        bytes memory data = abi.encodeWithSignature("safeTransferFrom(address,address,uint256)", its, avatar, tokenId);
        flush(ring, nextAction(ring, avatar, address(scope), data));
        assertEq(ERC721(address(scope)).ownerOf(tokenId), avatar);
    }

    function test_supportsInterface() public {
        make();
        AvatarAccount made = AvatarAccount(payable(address(its)));
        assertTrue(made.supportsInterface(0x01ffc9a7));
        assertTrue(made.supportsInterface(0x4e2312e0));
        assertFalse(made.supportsInterface(0xffffffff));
    }

    /// It signs nothing: an ERC-1271 question is refused like any other that it does not know.
    function test_signsNothing() public {
        make();
        (bool success,) = address(its).call(abi.encodeWithSignature("isValidSignature(bytes32,bytes)", bytes32(0), ""));
        assertFalse(success);
    }
}
