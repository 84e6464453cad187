// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRing} from "./interfaces/IRing.sol";
import {Page} from "./libraries/Page.sol";

/// @title The rings whose logs a ring keeps
abstract contract Clients is IRing {
    IRing[] private _clients;

    /// @dev Where in `_clients` a ring is, counted from 1; 0 for one that is not there.
    mapping(IRing client => uint256) private _placeOf;

    /// @inheritdoc IRing
    function registerRing(IRing client, address avatar) external payable {
        require(msg.value == 0, PaymentNotAccepted(msg.value));
        _requireAccountOf(client, avatar);
        require(!isClient(client), AlreadyRegistered(client));
        _clients.push(client);
        _placeOf[client] = _clients.length;
        emit RingRegistered(address(client), avatar);
    }

    /// @inheritdoc IRing
    function unregisterRing(IRing client, address avatar) external {
        _requireAccountOf(client, avatar);
        require(isClient(client), NotRegistered(client));
        IRing last = _clients[_clients.length - 1];
        _clients[_placeOf[client] - 1] = last;
        _placeOf[last] = _placeOf[client];
        delete _placeOf[client];
        _clients.pop();
        emit RingUnregistered(address(client), avatar);
    }

    /// @inheritdoc IRing
    function isClient(IRing client) public view returns (bool) {
        return _placeOf[client] != 0;
    }

    /// @inheritdoc IRing
    function clientCount() external view returns (uint256) {
        return _clients.length;
    }

    /// @inheritdoc IRing
    function clientsFrom(uint256 start, uint256 count) external view returns (IRing[] memory clients) {
        clients = new IRing[](Page.size(start, count, _clients.length));
        for (uint256 i = 0; i < clients.length; i++) {
            clients[i] = _clients[start + i];
        }
    }

    /// @dev Whether the ring's engine made the ring at `account`.
    function _isRing(address account) internal view virtual returns (bool);

    /// @dev Only the engine's rings are known to tell the truth about their members and accounts, so this is checked first.
    /// An account remains when the membership of its avatar ends, so the membership is checked too.
    function _requireAccountOf(IRing client, address avatar) private view {
        require(_isRing(address(client)), NotARing(client));
        require(client.isMember(avatar), NotMemberOf(client, avatar));
        require(msg.sender == client.accountOf(avatar), NotAccountOf(client, avatar, msg.sender));
    }
}
