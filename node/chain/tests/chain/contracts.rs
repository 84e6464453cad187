//! The contracts through this crate, on a real chain.

use crate::support::{member_key, purpose, rich_key, terms, World};
use rings_chain::{
    calls, Call, Chain, ChainError, ForkRule, GateState, RingTerms, Submitted, Submitter,
};
use rings_protocol::{
    cids::{keccak256, sha256},
    crypto::SecretKey,
    gate::{GateInput, GateSpec, FAILURE_PIN},
    Address, Digest,
};

#[tokio::test]
async fn a_ring_as_it_was_deployed() {
    let world = World::new(5, &[]).await;
    let state = world.chain.ring_state(world.at.ring).await.unwrap();
    let mut members: Vec<_> = world.members.iter().map(SecretKey::address).collect();
    let mut found = state.members.clone();
    members.sort();
    found.sort();
    assert_eq!(found, members);
    assert_eq!((state.epoch, state.quorum), (1, 4));
    assert_eq!(state.engine, world.at.engine);
    assert_eq!(state.heads, vec![Digest::ZERO; 5]);
    assert_eq!(state.ring_node_head, Digest::ZERO);
    let keeper = world.chain.keeper(world.at.engine, world.at.ring).await;
    assert_eq!(keeper.unwrap(), Some(rich_key().address()));
    assert_eq!(state.keeping.keeper, Some(rich_key().address()));
    assert_eq!(state.keeping.entry_delay, 0);
    assert_eq!(state.keeping.fork_rule, ForkRule::Remove);
    assert_eq!((state.counted, &state.keeping.pending[..]), (5, &[][..]));
    assert_eq!(state.hash, world.chain.head().await.unwrap().hash);
    let first = members[0];
    assert!(world.chain.is_member(world.at.ring, first).await.unwrap());
    let nobody = Address([9; 20]);
    assert!(!world.chain.is_member(world.at.ring, nobody).await.unwrap());

    // The same deployment from the same journal is the same one.
    let listed: Vec<_> = world.members.iter().map(SecretKey::address).collect();
    let again = rings_chain::deploy(&world.chain, &world.submitter, &listed, &terms(), None).await;
    assert_eq!(again.unwrap(), world.at);
}

#[tokio::test]
async fn a_salt_gives_the_same_engine_everywhere() {
    let salt = Some(sha256(b"salt"));
    let mut engines = Vec::new();
    for chain_id in ["1001", "1002"] {
        let world = World::new(1, &["--chain-id", chain_id]).await;
        let members = [world.members[0].address()];
        let at =
            rings_chain::deploy(&world.chain, &world.submitter, &members, &terms(), salt).await;
        let at = at.unwrap();
        assert_ne!(at.engine, world.at.engine);
        let state = world.chain.ring_state(at.ring).await.unwrap();
        assert_eq!((state.engine, state.members), (at.engine, members.to_vec()));

        // Somebody else finds the engine that is there; the ring is another.
        let (key, journal) = (member_key(7), world.directory.path().join("other"));
        fund(&world, key.address()).await;
        let other = Submitter::open(journal, world.chain.clone(), key).await;
        let second =
            rings_chain::deploy(&world.chain, &other.unwrap(), &members, &terms(), salt).await;
        let second = second.unwrap();
        assert_eq!(second.engine, at.engine);
        assert_ne!((second.ring, second.scope), (at.ring, at.scope));
        engines.push(at.engine);
    }
    assert_eq!(engines[0], engines[1]);
}

async fn fund(world: &World, account: Address) {
    let ether = 10_u128.pow(18);
    rings_chain::fund(&world.chain, &world.submitter, &[account], ether)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_salt_needs_the_deployer_of_others() {
    let world = World::new(1, &[]).await;
    let deployer = rings_chain::CREATE2_DEPLOYER.to_string();
    let no_code = vec![deployer.clone().into(), "0x".into()];
    world.anvil.ask("anvil_setCode", no_code).await;
    let members = [world.members[0].address()];
    let salt = Some(Digest::ZERO);
    let refused =
        rings_chain::deploy(&world.chain, &world.submitter, &members, &terms(), salt).await;
    let said = refused.unwrap_err().to_string();
    assert!(
        said.contains(&deployer) && said.contains("deployment proxy"),
        "{said}"
    );
}

#[tokio::test]
async fn a_gate_from_creation_to_result() {
    let mut world = World::new(5, &[]).await;
    let (gate, spec) = world.gate(2).await;
    assert_eq!(
        world.chain.gate_spec(world.at.engine, gate).await.unwrap(),
        spec
    );
    assert!(world.chain.is_gate(world.at.engine, gate).await.unwrap());
    let waiting = GateState {
        ready: true,
        ..GateState::default()
    };
    assert_eq!(world.chain.gate_state(gate).await.unwrap(), waiting);
    assert_eq!(world.chain.output_of(gate, 0).await.unwrap(), None);
    assert_eq!(
        world
            .chain
            .registration(&[world.at.ring], gate)
            .await
            .unwrap(),
        None
    );

    let (pins, cids) = ([0, 1], [sha256(b"out 0"), sha256(b"out 1")]);
    let signatures = world.sign(gate, 1, &pins, &cids, 4).await;
    let register = calls::register_outputs(world.at.ring, gate, &pins, &cids, &signatures);
    let Submitted::Mined {
        transaction,
        block,
        gas_used,
    } = world.send(register).await
    else {
        unreachable!("sent");
    };
    assert!(world.chain.gate_state(gate).await.unwrap().resolved);
    let token = world.chain.output_of(gate, 1).await.unwrap().unwrap();
    assert_eq!(token, cids[1]);
    let data = world.chain.read_data(world.at.scope, token).await.unwrap();
    assert_eq!(data, cids[1]);

    let found = world
        .chain
        .registration(&[world.at.ring], gate)
        .await
        .unwrap();
    let found = found.unwrap();
    assert_eq!(found.transaction, transaction);
    assert_eq!((found.block, found.gas_used), (block, Some(gas_used)));
    assert_eq!((&found.pins[..], &found.cids[..]), (&pins[..], &cids[..]));
    assert_eq!((found.epoch, &found.signatures), (1, &signatures));
    let mut signers: Vec<_> = world.members[..4].iter().map(SecretKey::address).collect();
    signers.sort();
    let signed = world.signed(world.at.ring, gate, 1, &pins, &cids).await;
    assert_eq!(found.signers(&signed).unwrap(), signers);
}

#[tokio::test]
async fn the_history_of_gates_that_wait_for_one_another() {
    let mut world = World::new(3, &[]).await;
    let (first, spec) = world.gate(1).await;
    let future = GateInput::Future {
        gate: first,
        pin: 0,
    };
    let second_spec = GateSpec {
        inputs: vec![spec.inputs[0], future],
        ..spec.clone()
    };
    let second = world.create(&second_spec).await;
    assert_eq!(
        world
            .chain
            .gate_spec(world.at.engine, second)
            .await
            .unwrap(),
        second_spec
    );
    assert!(!world.chain.gate_state(second).await.unwrap().ready);
    assert_eq!(world.chain.inputs_of(&second_spec).await.unwrap(), None);
    assert_eq!(world.chain.inputs_hash(second).await.unwrap(), None);

    let register = world.registration(first, 1, 1).await;
    world.send(register).await;
    let output = world.chain.output_of(first, 0).await.unwrap().unwrap();
    let GateInput::Constant(operation) = spec.inputs[0] else {
        unreachable!("the operation is a constant");
    };
    let inputs = world.chain.inputs_of(&second_spec).await.unwrap();
    assert_eq!(inputs, Some(vec![operation, output]));
    let hash = world.chain.inputs_hash(second).await.unwrap();
    assert_eq!(hash, Some(keccak256(&output.0)));
    let history = world.chain.gate_history(world.at.engine, second).await;
    let history = history.unwrap();
    assert_eq!(history.spec, second_spec);
    assert_eq!(history.requesters, [rich_key().address()]);

    let stranger = world
        .chain
        .gate_history(world.at.engine, Address([7; 20]))
        .await;
    assert!(matches!(stranger, Err(ChainError::NotAContract { .. })));
}

#[tokio::test]
async fn a_circuit_in_one_transaction() {
    let mut world = World::new(3, &[]).await;
    let (_, spec) = world.gate(1).await;
    let source = GateSpec {
        salt: Digest([1; 32]),
        ..spec.clone()
    };
    let placeholder = {
        let mut bytes = [0; 20];
        bytes[19] = 1;
        Address(bytes)
    };
    let sink = |gate| GateSpec {
        inputs: vec![spec.inputs[0], GateInput::Future { gate, pin: 0 }],
        ..spec.clone()
    };
    let specs = [source.clone(), sink(placeholder)];
    world
        .send(calls::create_circuit(world.at.engine, &specs))
        .await;
    let source = world.chain.gate_of(world.at.engine, &source).await.unwrap();
    let sink_spec = sink(source);
    let sink = world
        .chain
        .gate_of(world.at.engine, &sink_spec)
        .await
        .unwrap();
    assert_eq!(
        world.chain.gate_spec(world.at.engine, sink).await.unwrap(),
        sink_spec
    );
}

#[tokio::test]
async fn failure_is_a_result_and_gates_behind_it_fail_too() {
    let mut world = World::new(3, &[]).await;
    let (gate, spec) = world.gate(1).await;
    let future = GateInput::Future { gate, pin: 0 };
    let behind = GateSpec {
        inputs: vec![spec.inputs[0], future],
        ..spec
    };
    let behind = world.create(&behind).await;
    let (pins, cids) = ([FAILURE_PIN], [sha256(b"failure record")]);
    let signatures = world.sign(gate, 1, &pins, &cids, 3).await;
    let call = calls::register_outputs(world.at.ring, gate, &pins, &cids, &signatures);
    world.send(call).await;
    let state = world.chain.gate_state(gate).await.unwrap();
    assert!(state.resolved && state.failed);
    let state = world.chain.gate_state(behind).await.unwrap();
    assert!(!state.ready && !state.resolved && state.failed);
    let record = world.chain.output_of(gate, FAILURE_PIN).await.unwrap();
    assert_eq!(record, Some(cids[0]));
}

#[tokio::test]
async fn members_come_and_go_and_say_where_they_are() {
    let mut world = World::new(3, &[]).await;
    let newcomer = member_key(77);
    let (engine, ring) = (world.at.engine, world.at.ring);
    world
        .send(calls::enter(engine, ring, newcomer.address()))
        .await;
    let pending = world.chain.ring_state(ring).await.unwrap().keeping.pending;
    assert_eq!(pending[0].member, newcomer.address());
    world.send(calls::settle(ring, newcomer.address())).await;
    let gone = world.members[0].address();
    world.send(calls::exit(engine, ring, gone)).await;
    let state = world.chain.ring_state(ring).await.unwrap();
    assert_eq!((state.epoch, state.members.len()), (3, 3));
    assert!(state.members.contains(&newcomer.address()) && !state.members.contains(&gone));

    assert_eq!(
        world.chain.contact(ring, newcomer.address()).await.unwrap(),
        None
    );
    let ether = 1_000_000_000_000_000_000;
    let accounts = [newcomer.address()];
    rings_chain::fund(&world.chain, &world.submitter, &accounts, ether)
        .await
        .unwrap();
    assert_eq!(world.chain.balance(accounts[0]).await.unwrap(), ether);
    let journal = world.directory.path().join("newcomer.journal");
    let own = Submitter::open(journal, world.chain.clone(), newcomer.clone())
        .await
        .unwrap();
    let multiaddress = [4, 127, 0, 0, 1, 6, 0x1f, 0x90];
    let announce = calls::announce(ring, &newcomer.public_key(), &multiaddress);
    own.submit(purpose("announce"), announce).await.unwrap();
    let contact = world.chain.contact(ring, newcomer.address()).await.unwrap();
    let contact = contact.unwrap();
    assert_eq!(contact.public_key, newcomer.public_key());
    assert_eq!(contact.multiaddress, multiaddress);
}

#[tokio::test]
async fn refusals_come_in_words() {
    let mut world = World::new(4, &[]).await;
    let (gate, _) = world.gate(1).await;
    let (pins, cids) = ([0], [sha256(b"x")]);

    // Found by an estimate, so that nothing is sent.
    let few = world.sign(gate, 1, &pins, &cids, 2).await;
    let call = Call {
        gas: None,
        ..calls::register_outputs(world.at.ring, gate, &pins, &cids, &few)
    };
    let refused = world.submitter.submit(purpose("few"), call.clone()).await;
    let reason = "QuorumNotReached(signatures = 2, counted = 4)";
    assert!(
        matches!(&refused, Err(ChainError::Reverted { reason: r }) if r == reason),
        "{refused:?}"
    );

    // With a gas limit it is sent, and reverts in its block.
    let gas = Some(2_000_000);
    let refused = world
        .submitter
        .submit(purpose("few"), Call { gas, ..call })
        .await;
    assert!(
        matches!(&refused, Ok(Submitted::Reverted { reason: r, .. }) if r == reason),
        "{refused:?}"
    );

    // The second of two equal registrations.
    let register = world.registration(gate, 1, 1).await;
    world.send(register.clone()).await;
    let late = world
        .submitter
        .submit(purpose("late"), register.clone())
        .await;
    assert!(
        matches!(&late, Ok(Submitted::Reverted { reason, .. }) if reason == "AlreadyResolved()" || reason == "PinAlreadySet(pin = 0)"),
        "{late:?}"
    );

    let (gate, _) = world.gate(1).await;
    let starved = Call {
        gas: Some(60_000),
        ..world.registration(gate, 1, 1).await
    };
    let starved = world.submitter.submit(purpose("starved"), starved).await;
    assert!(
        matches!(&starved, Ok(Submitted::Reverted { reason, .. }) if reason.contains("out of gas")),
        "{starved:?}"
    );

    // No contract at all.
    let nothing = world.chain.ring_state(Address([3; 20])).await;
    assert!(matches!(
        nothing,
        Err(ChainError::NotAContract { what: "ring", .. })
    ));
}

#[tokio::test]
async fn the_gas_formula_is_a_bound() {
    let mut world = World::new(31, &[]).await;
    for (signers, outputs) in [(21, 1), (31, 1), (21, 10), (31, 40)] {
        let (gate, _) = world.gate(outputs).await;
        let pins: Vec<_> = (0..outputs).collect();
        let cids: Vec<_> = pins
            .iter()
            .map(|pin| sha256(&[&gate.0[..], &pin.to_be_bytes()].concat()))
            .collect();
        let signatures = world.sign(gate, 1, &pins, &cids, signers).await;
        let call = calls::register_outputs(world.at.ring, gate, &pins, &cids, &signatures);
        let Submitted::Mined { gas_used, .. } = world.send(call).await else {
            unreachable!("sent");
        };
        let bound = calls::register_gas(signers, outputs as usize, 0);
        println!("{signers} signatures, {outputs} outputs: {gas_used} of {bound} gas");
        assert!(gas_used < bound && bound < calls::MAX_GAS);
    }
    // Futures: every input but the operation, as many as the formula allows for.
    let (first, spec) = world.gate(1).await;
    let register = world.registration(first, 1, 1).await;
    world.send(register).await;
    let mut futures = spec.clone();
    let future = GateInput::Future {
        gate: first,
        pin: 0,
    };
    futures.inputs.extend(vec![future; calls::FUTURES_COVERED]);
    let gate = world.create(&futures).await;
    let register = world.registration(gate, 1, 1).await;
    let Submitted::Mined { gas_used, .. } = world.send(register).await else {
        unreachable!("sent");
    };
    let bound = calls::register_gas(31, 1, calls::FUTURES_COVERED);
    println!("64 futures: {gas_used} of {bound} gas");
    assert!(gas_used < bound);
}

#[tokio::test]
async fn blocks_and_what_is_not_there() {
    let world = World::new(1, &[]).await;
    let head = world.chain.head().await.unwrap();
    assert_eq!(world.chain.block(head.number).await.unwrap(), head);
    assert_eq!(world.chain.block_number().await.unwrap(), head.number);
    let above = world.chain.block(head.number + 1000).await;
    assert!(matches!(above, Err(ChainError::NoSuchBlock { .. })));
    assert!(world.chain.has_code(world.at.ring).await.unwrap());
    assert!(!world.chain.has_code(Address([1; 20])).await.unwrap());
    assert!(world.chain.is_reachable());
    let nobody = Chain::connect("http://127.0.0.1:1").await;
    assert!(matches!(nobody, Err(ChainError::Unreachable { .. })));
}

#[tokio::test]
async fn a_ring_that_keeps_itself_says_so() {
    let mut world = World::new(4, &[]).await;
    let members: Vec<_> = world.members.iter().map(SecretKey::address).collect();
    let own = RingTerms {
        keeper: None,
        entry_delay: 86_400,
        fork_rule: ForkRule::Freeze,
    };
    let deployed = rings_chain::deploy(&world.chain, &world.submitter, &members, &own, None).await;
    let ring = deployed.unwrap().ring;
    let state = world.chain.ring_state(ring).await.unwrap();
    assert_eq!(
        (state.keeping.keeper, state.keeping.entry_delay),
        (None, 86_400)
    );
    assert_eq!(state.keeping.fork_rule, ForkRule::Freeze);

    // A kept one can become one.
    let (engine, ring) = (world.at.engine, world.at.ring);
    world.send(calls::renounce_keeper(engine, ring)).await;
    assert_eq!(world.chain.keeper(engine, ring).await.unwrap(), None);
}

#[tokio::test]
async fn it_is_deployed_in_blocks_of_ten_million_gas() {
    // `gas-margin`: the largest transaction needs less than a block has, and a quarter more would be more than it has.
    World::new(4, &["--gas-limit", "10000000"])
        .await
        .gate(1)
        .await;
}

#[tokio::test]
async fn a_chain_before_cancun_is_refused() {
    let anvil = crate::support::Anvil::start(&["--hardfork", "shanghai"]);
    let chain = Chain::connect(&anvil.http()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    let submitter = Submitter::open(journal, chain.clone(), rich_key()).await;
    let submitter = submitter.unwrap();
    let member = [member_key(1).address()];
    let refused = rings_chain::deploy(&chain, &submitter, &member, &terms(), None).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, ChainError::Unsupported { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("Cancun"), "{refused}");
    assert_eq!(chain.block_number().await.unwrap(), 0);
}
