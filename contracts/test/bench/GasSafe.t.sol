// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRing} from "../../src/interfaces/IRing.sol";
import {Fixture, Signatures} from "../utils/Fixture.sol";
import {ISafe, SafeDeployer} from "../utils/SafeDeployer.sol";
import {NonceWallet, TallyWallet, Wallet} from "../utils/TallyWallet.sol";
import {console2} from "forge-std/console2.sol";
import {LibSort} from "solady/src/utils/LibSort.sol";

/// @notice Keeps a word for each caller: what both are made to do is store a new one.
contract Store {
    mapping(address caller => uint256) public wordOf;

    function put(uint256 word) external {
        wordOf[msg.sender] = word;
    }
}

/// @notice The ring's tally beside Safe 1.4.1, doing the same: whole transactions, with their 21,000 gas
/// and their calldata, on cold slots. No slot of a nonce is made.
/// forge-config: default.isolate = true
contract GasSafeTest is Fixture, SafeDeployer {
    uint256 private constant WORD = type(uint256).max; // the dearest calldata

    Store private store;

    function setUp() public override {
        super.setUp();
        deploySafe();
        store = new Store();
    }

    /// @dev Whoever signs, in ascending order.
    function ascending(uint256 count) private returns (address[] memory who) {
        who = accounts(count);
        LibSort.sort(who);
    }

    function signAs(address[] memory who, uint256 count, bytes32 digest) private view returns (Signatures memory) {
        uint256[] memory keys = new uint256[](count);
        for (uint256 i = 0; i < count; i++) {
            keys[i] = keyOf[who[i]];
        }
        return signWith(keys, digest);
    }

    function joined(Signatures memory sigs) private pure returns (bytes memory result) {
        for (uint256 i = 0; i < sigs.r.length; i++) {
            result = bytes.concat(result, sigs.r[i], sigs.s[i], bytes1(sigs.v[i]));
        }
    }

    /// @dev After a transaction that does nothing: the first one also makes the slot of the Safe's nonce.
    function measureSafe(address[] memory who, uint256 signatures, string memory name) private returns (uint256) {
        ISafe safe = makeSafe(who, signatures);
        address nobody = makeAddr("nobody");
        executeSafe(safe, nobody, "", joined(signAs(who, signatures, safeDigest(safe, nobody, ""))));
        bytes memory data = abi.encodeCall(Store.put, (WORD));
        bytes memory sigs = joined(signAs(who, signatures, safeDigest(safe, address(store), data)));
        executeSafe(safe, address(store), data, sigs);
        uint256 gas = newerVm.snapshotGasLastCall("Safe", name);
        assertEq(store.wordOf(address(safe)), WORD);
        return gas;
    }

    function measure(Wallet wallet, address[] memory who, uint256 signatures, string memory name)
        private
        returns (uint256)
    {
        wallet.initialize(who);
        bytes memory data = abi.encodeCall(Store.put, (WORD));
        Signatures memory sigs = signAs(who, signatures, wallet.digestOf(address(store), data));
        wallet.execute(address(store), data, sigs.r, sigs.s, sigs.v);
        uint256 gas = newerVm.snapshotGasLastCall("Safe", name);
        assertEq(store.wordOf(address(wallet)), WORD);
        return gas;
    }

    /// @dev `signatures` are the two thirds of `members`, and the threshold of the Safe.
    function compare(uint256 members, uint256 signatures, uint256 target) private {
        address[] memory who = ascending(members);
        string memory name = string.concat(vm.toString(signatures), " of ", vm.toString(members), ", a new word: ");
        uint256 ours = measure(new TallyWallet(), who, signatures, string.concat(name, "ring"));
        uint256 withNonce = measure(new NonceWallet(), who, signatures, string.concat(name, "ring, with a nonce"));
        uint256 safes = measureSafe(who, signatures, string.concat(name, "Safe"));
        console2.log(row(name, ours, withNonce, safes));
        assertLe(ours, target);
        assertLt(withNonce, safes);
    }

    /// A flush of an empty call, the avatar's second, beside a Safe with one owner that makes the same call, its second.
    function test_flush_emptyCall() public {
        address nobody = makeAddr("nobody");
        IRing ring = makeRing(5);
        flush(ring, nextAction(ring, account(1), nobody, ""));
        flush(ring, nextAction(ring, account(1), nobody, ""));
        uint256 ours = newerVm.snapshotGasLastCall("Safe", "an empty call: flush");
        ISafe safe = makeSafe(ascending(1), 1);
        uint256 safes;
        for (uint256 i = 0; i < 2; i++) {
            executeSafe(safe, nobody, "", joined(signAs(ascending(1), 1, safeDigest(safe, nobody, ""))));
            safes = newerVm.snapshotGasLastCall("Safe", "an empty call: Safe with one owner");
        }
        console2.log(string.concat("an empty call: flush ", vm.toString(ours), ", Safe 1.4.1 ", vm.toString(safes)));
        assertLe(ours, 80_000);
    }

    function row(string memory name, uint256 ours, uint256 withNonce, uint256 safes)
        private
        pure
        returns (string memory)
    {
        string memory first = string.concat(name, "ring ", vm.toString(ours), ", with a nonce ", vm.toString(withNonce));
        return string.concat(first, ", Safe 1.4.1 ", vm.toString(safes));
    }

    function test_storeWord_3signatures() public {
        compare(4, 3, 70_000);
    }

    function test_storeWord_5signatures() public {
        compare(7, 5, 80_000);
    }

    function test_storeWord_7signatures() public {
        compare(10, 7, 89_000);
    }

    function test_storeWord_21signatures() public {
        compare(31, 21, 155_000);
    }

    function test_storeWord_67signatures() public {
        compare(100, 67, 372_000);
    }
}
