// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

/// @notice The part of Safe 1.4.1 that the bench uses.
interface ISafe {
    function setup(
        address[] calldata owners,
        uint256 threshold,
        address to,
        bytes calldata data,
        address fallbackHandler,
        address paymentToken,
        uint256 payment,
        address payable paymentReceiver
    ) external;

    function execTransaction(
        address to,
        uint256 value,
        bytes calldata data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address payable refundReceiver,
        bytes calldata signatures
    ) external payable returns (bool success);

    function getTransactionHash(
        address to,
        uint256 value,
        bytes calldata data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address refundReceiver,
        uint256 nonce
    ) external view returns (bytes32);

    function nonce() external view returns (uint256);
}

interface ISafeProxyFactory {
    function createProxyWithNonce(address singleton, bytes calldata initializer, uint256 salt) external returns (ISafe);
}

/// @notice Safe 1.4.1 with the bytecode that its authors have published on npm.
abstract contract SafeDeployer is Test {
    string private constant ARTIFACTS = "contracts/node_modules/@safe-global/safe-contracts/build/artifacts/contracts/";

    address private singleton;
    ISafeProxyFactory private factory;

    function deploySafe() internal {
        singleton = deployPublished("Safe.sol/Safe.json");
        factory = ISafeProxyFactory(deployPublished("proxies/SafeProxyFactory.sol/SafeProxyFactory.json"));
    }

    function deployPublished(string memory artifact) private returns (address deployed) {
        bytes memory code = vm.parseJsonBytes(vm.readFile(string.concat(ARTIFACTS, artifact)), ".bytecode");
        assembly {
            deployed := create(0, add(code, 32), mload(code))
        }
        require(deployed != address(0), "not deployed");
    }

    function makeSafe(address[] memory owners, uint256 threshold) internal returns (ISafe) {
        address payable nobody = payable(address(0));
        bytes memory initializer =
            abi.encodeCall(ISafe.setup, (owners, threshold, nobody, "", nobody, nobody, 0, nobody));
        return factory.createProxyWithNonce(singleton, initializer, 0);
    }

    function safeDigest(ISafe safe, address to, bytes memory data) internal view returns (bytes32) {
        address nobody = address(0);
        return safe.getTransactionHash(to, 0, data, 0, 0, 0, 0, nobody, nobody, safe.nonce());
    }

    function executeSafe(ISafe safe, address to, bytes memory data, bytes memory signatures) internal {
        address payable nobody = payable(address(0));
        require(safe.execTransaction(to, 0, data, 0, 0, 0, 0, nobody, nobody, signatures), "Safe refused");
    }
}
