//! Members that start while their provider, or a branch of the chain, says something odd of the ring.

use rings_tests::{
    perturb::{Branch, Conduct, Provider, Stage},
    until, Program, LONG,
};

/// The member that starts.
const STARTED: usize = 3;

/// Starts the member at these providers; gives its process.
fn start(stage: &Stage, urls: &str) -> u32 {
    let environment = [("RINGS_CHAIN_RPC", urls)];
    stage
        .ring
        .launch_member(STARTED, Program::Honest, &environment);
    stage.ring.pid(STARTED)
}

/// Waits until the member says that it waits because of this.
fn waits_for(stage: &Stage, expected: &str) {
    until("the member says what it waits for", LONG, || {
        let (status, trouble) = stage.ring.health(STARTED)?;
        (status == 503 && trouble?.contains(expected)).then_some(())
    });
}

#[test]
fn a_member_that_starts_before_an_odd_provider_waits_for_it() {
    let stage = Stage::http(4);
    let provider = Provider::before(stage.chain.port());
    let oddities = [
        (
            "no block but the first",
            Conduct {
                head: Some(0),
                ..Conduct::default()
            },
        ),
        (
            "on chain 5",
            Conduct {
                chain_id: Some(5),
                ..Conduct::default()
            },
        ),
    ];
    for (expected, conduct) in oddities {
        stage.ring.terminate(&[STARTED]);
        provider.behave(conduct);
        let pid = start(&stage, &provider.http());
        waits_for(&stage, expected);
        provider.be_good();
        stage.ring.wait_connected(STARTED, 3);
        assert_eq!(stage.ring.pid(STARTED), pid, "{expected}");
    }

    // The member's exit is in the newest block, and a reorganisation takes it back.
    stage.ring.terminate(&[STARTED]);
    let (eth, account) = (stage.eth(), stage.ring.json().member(STARTED));
    let branch = Branch::here(&eth);
    stage.contracts().change(&stage.keeper(), "exit", account);
    let pid = start(&stage, &provider.http());
    waits_for(&stage, "is not a member of ring");
    branch.cut();
    stage.ring.wait_connected(STARTED, 3);
    assert_eq!(stage.ring.pid(STARTED), pid);
}

#[test]
fn of_several_providers_one_that_has_only_the_first_block_is_put_aside_at_the_start() {
    let stage = Stage::http(4);
    let empty = Provider::with(
        stage.chain.port(),
        Conduct {
            head: Some(0),
            ..Conduct::default()
        },
    );
    let honest = Provider::before(stage.chain.port());
    stage.ring.terminate(&[STARTED]);
    let urls = format!(
        "{},{},{}",
        empty.http(),
        honest.http(),
        stage.provider.http()
    );
    start(&stage, &urls);
    stage.ring.wait_connected(STARTED, 3);
}
