// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccount} from "../src/interfaces/IAccount.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @notice Callees that are accounts of people with an EIP-7702 delegation. A call to one touches two accounts, each of which
/// may be one that the transaction has not seen before. Delegations are known from the Prague upgrade on.
/// forge-config: default.evm_version = "prague"
abstract contract Delegation is Fixture {
    /// @dev Puts the gas that it has after its first step, which costs 2, into storage: GAS, PUSH0, SSTORE.
    bytes private constant NOTER = hex"5a5f55";
    uint256 private constant FIRST_STEP = 2;

    address private code = makeAddr("code");
    address private person = makeAddr("person");
    IRing private ring;
    IAccount private its;

    /// @dev How much less may arrive because the code under test is not optimised.
    function slack() internal pure virtual returns (uint256);

    function setUp() public override {
        super.setUp();
        ring = makeRing(1);
        its = IAccount(ring.accountOf(account(1)));
        flush(ring, nextAction(ring, account(1), makeAddr("nobody"), ""));
        vm.etch(code, NOTER);
        vm.etch(person, bytes.concat(hex"ef0100", bytes20(code)));
        vm.deal(address(its), 1 ether);
    }

    /// @dev The account calls `person` when it has `limit` gas and `gas` must arrive.
    function execute(uint256 limit, uint256 value, uint256 gas, bytes memory data)
        private
        returns (bool success, bytes memory reason)
    {
        bytes memory call = abi.encodeCall(IAccount.execute, (person, value, gas, data));
        newerVm.cool(person);
        newerVm.cool(code);
        vm.prank(address(ring));
        (success, reason) = address(its).call{gas: limit}(call);
    }

    /// @dev The most gas that may be asked for with `limit`. One unit more is refused.
    function mostGas(uint256 limit, uint256 value, bytes memory data) private returns (uint256 available) {
        (, bytes memory reason) = execute(limit, value, type(uint256).max, data);
        assertEq(bytes4(reason), IAccount.NotEnoughGas.selector);
        assembly {
            available := mload(add(reason, 36))
        }
        (, reason) = execute(limit, value, available + 1, data);
        assertEq(reason, abi.encodeWithSelector(IAccount.NotEnoughGas.selector, available, available + 1));
    }

    /// @dev What arrives when as much is asked for as may be.
    function arrives(uint256 limit, uint256 value, bytes memory data) private returns (uint256 most, uint256 there) {
        most = mostGas(limit, value, data);
        (bool success,) = execute(limit, value, most, data);
        assertTrue(success);
        there = uint256(vm.load(person, 0)) + FIRST_STEP;
    }

    /// As much as was promised arrives, to the unit, and not so much more that a flush would ask for gas in vain.
    function testFuzz_execute_gasArrivesAtADelegate(uint256 limit) public {
        limit = bound(limit, 100_000, 2_000_000);
        (uint256 most, uint256 there) = arrives(limit, 0, "");
        assertGe(there + slack(), most);
        assertLe(there, most + 500);
    }

    /// With data the account has looked at the callee before, which is then the cheaper to call.
    function testFuzz_execute_gasArrivesWithData(uint256 limit, bytes memory data) public {
        vm.assume(data.length != 0 && data.length < 1_000);
        limit = bound(limit, 100_000, 2_000_000);
        (uint256 most, uint256 there) = arrives(limit, 0, data);
        assertGe(there + slack(), most);
        assertLe(there, most + 500 + 2_500);
    }

    /// With ether, 2,300 gas come besides (EIP-150), and 25,000 were kept for an account that need not be made.
    function testFuzz_execute_gasArrivesWithEther(uint256 limit) public {
        limit = bound(limit, 150_000, 2_000_000);
        (uint256 most, uint256 there) = arrives(limit, 1, "");
        assertGe(there + slack(), most);
        assertLe(there, most + 500 + 2_300 + 25_000);
    }
}

/// @notice For code that is not optimised too, as in `anvil-scripts/prove mutation`.
/// forge-config: default.evm_version = "prague"
contract DelegationTest is Delegation {
    function slack() internal pure override returns (uint256) {
        return 600;
    }
}

/// @notice To the unit.
/// forge-config: default.evm_version = "prague"
contract GasDelegationTest is Delegation {
    function slack() internal pure override returns (uint256) {
        return 0;
    }
}
