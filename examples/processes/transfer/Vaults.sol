// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @notice On the first chain: takes deposits, and says who is to be paid on the other chain.
contract Deposits {
    event Deposited(bytes32 indexed id, address indexed to, uint256 amount);

    uint256 private _count;

    /// @notice Deposits what is sent along, for `to` on the other chain.
    function deposit(address to) external payable {
        emit Deposited(keccak256(abi.encode(block.chainid, address(this), _count++)), to, msg.value);
    }
}

/// @notice On the second chain: pays what the ring says, each deposit once.
contract Payouts {
    event Paid(bytes32 indexed id, address indexed to, uint256 amount);

    error NotThePayer(address caller);
    error NotPaid(address to, uint256 amount);

    address public immutable payer;
    mapping(bytes32 id => bool) public isPaid;

    constructor(address payer_) payable {
        payer = payer_;
    }

    /// @notice Pays a deposit. The same again changes nothing: a member that takes over does not know whether the one before it
    /// has sent its transaction.
    function pay(bytes32 id, address to, uint256 amount) external {
        require(msg.sender == payer, NotThePayer(msg.sender));
        if (isPaid[id]) return;
        isPaid[id] = true;
        (bool success,) = to.call{value: amount}("");
        require(success, NotPaid(to, amount));
        emit Paid(id, to, amount);
    }
}
