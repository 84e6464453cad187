// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Members} from "../../src/Members.sol";
import {EIP712} from "solady/src/utils/EIP712.sol";
import {EfficientHashLib} from "solady/src/utils/EfficientHashLib.sol";

/// @dev In the slot that the members share, as the number of ring nodes is in a ring.
abstract contract Nonce {
    uint40 internal _nonce;
}

/// @notice Makes the calls that two thirds of its members sign, with the ring's tally: for the bench.
abstract contract Wallet is Nonce, Members, EIP712 {
    error CallFailed();

    function initialize(address[] calldata members) external {
        _initialize(members);
    }

    function execute(address to, bytes calldata data, bytes32[] calldata r, bytes32[] calldata s, uint8[] calldata v)
        external
    {
        _requireQuorum(digestOf(to, data), r, s, v);
        _before();
        (bool success,) = to.call(data);
        require(success, CallFailed());
    }

    function digestOf(address to, bytes calldata data) public view returns (bytes32) {
        return _hashTypedData(_structHash(bytes32(uint256(uint160(to))), EfficientHashLib.hashCalldata(data)));
    }

    function _before() internal virtual;

    function _afterExit(address member) internal override {}

    function _structHash(bytes32 to, bytes32 dataHash) internal view virtual returns (bytes32);

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("Wallet", "1");
    }
}

/// @notice As a ring registers outputs: what is called sees to it that nothing is done twice.
contract TallyWallet is Wallet {
    bytes32 private constant TYPEHASH = keccak256("Call(address to,bytes data,uint256 epoch)");

    function _structHash(bytes32 to, bytes32 dataHash) internal view override returns (bytes32) {
        return EfficientHashLib.hash(TYPEHASH, to, dataHash, bytes32(epoch()));
    }

    function _before() internal override {}
}

/// @notice As a Safe does: each signed call is made once, and after the one before.
contract NonceWallet is Wallet {
    bytes32 private constant TYPEHASH = keccak256("Call(address to,bytes data,uint256 epoch,uint256 nonce)");

    function _structHash(bytes32 to, bytes32 dataHash) internal view override returns (bytes32) {
        return EfficientHashLib.hash(TYPEHASH, to, dataHash, bytes32(epoch()), bytes32(uint256(_nonce)));
    }

    function _before() internal override {
        _nonce++;
    }
}
