//! Messages in logs that start processes: those of a client ring that a ring keeps, also when they came while its members were
//! down.

use super::{
    process_members::{ended, over, process},
    processes::example,
};
use rings_api::processes::{GetProcessParams, ProcessRunsView};
use rings_client::{Action, Call, Digest};
use rings_tests::{
    avatars::{ask, ClientRing},
    block_on, until, Program, Ring, LONG,
};

/// The runs of the only process, as a member knows them.
fn runs(ring: &Ring, member: usize) -> Option<ProcessRunsView> {
    let which = GetProcessParams {
        installation: process(ring, member)?.installation,
        before: None,
        limit: None,
    };
    block_on(ring.client(member).get_process(&which)).ok()
}

/// Waits until a member has so many runs, and gives the event of the newest.
fn started(ring: &Ring, member: usize, count: usize) -> String {
    until("a message has started a process", LONG, || {
        let runs = runs(ring, member)?.runs;
        assert!(runs.len() <= count, "{runs:?}");
        (runs.len() == count).then(|| runs[0].event.to_string())
    })
}

/// An avatar writes a message and brings it to a member.
fn say(ring: &Ring, (clients, known): (&mut ClientRing, &mut Digest), member: usize, text: &str) {
    clients.say(0, text);
    let log = &clients.avatars[0].log;
    let place = (clients.address, clients.avatars[0].key.address());
    let request = Call::append(place, &log.since(*known), 1, 0);
    ask(ring, member, &request).unwrap();
    *known = log.head();
}

/// Deploys a service that says which messages are events, and the shop, and creates a process of both.
fn create(ring: &Ring, desk: &str, process: &str) {
    let desk = ring.write("desk.yml", desk);
    let process = ring.write("process.yml", process);
    ring.rings(["service", "deploy"]).arg(desk).ok();
    ring.rings(["service", "deploy"])
        .arg(example("shop").join("service.yml"))
        .ok();
    ring.rings(["process", "create"]).arg(process).ok();
}

#[test]
fn a_message_of_a_client_ring_starts_a_process_once_also_after_a_restart() {
    let ring = Ring::up(3);
    let mut clients = ClientRing::kept(&ring, 1);
    let mut known = clients.avatars[0].log.head();
    let told = (&mut clients, &mut known);
    say(&ring, told, 0, r#"{"cents": 1, "order": 1}"#);
    let author = clients.avatars[0].key.address();
    let desk = format!(
        "service: desk\nevents:\n  said:\n    from: {{message: chat, type: message, ring: \"{}\", where: event.cents > 100}}\n    \
           data: {{author: string, cents: integer, order: integer}}\n",
        clients.address
    );
    let shop = example("shop").join("service.yml");
    let process = format!(
        "process: order\nservices: {{desk: desk.yml, shop: {}}}\non: desk.said\nnodes:\n  \
           drop: {{task: shop.drop, inputs: {{order: \"${{event.order}}\", cents: \"${{event.cents}}\"}}}}\n",
        shop.display()
    );
    create(&ring, &desk, &process);

    // What was said before it was made starts nothing, nor what is not chosen or no order at all.
    for text in [
        r#"{"cents": 7, "order": 2}"#,
        "hello",
        r#"{"cents": 900, "order": 3}"#,
    ] {
        say(&ring, (&mut clients, &mut known), 0, text);
    }
    let event = started(&ring, 0, 1);
    let first = over(&ring, 0, &event);
    assert_eq!(first.len(), 1);
    for member in 1..3 {
        assert_eq!(over(&ring, member, &event), first);
    }
    let drop = ended(&ring, 0, &event).unwrap().remove(0);
    let trace = ring.rings(["trace", &drop.execution.to_string()]).text();
    let line = format!(
        "event said in ring {}, log {author}, node 4",
        clients.address
    );
    assert!(trace.contains(&line), "{line}\n{trace}");

    // One member is down while the next comes, and all of them are before it is done.
    ring.kill(&[2]);
    say(
        &ring,
        (&mut clients, &mut known),
        0,
        r#"{"cents": 901, "order": 4}"#,
    );
    let second = started(&ring, 0, 2);
    assert_ne!(second, event);
    ring.kill(&[0, 1]);
    (0..3).for_each(|member| ring.start_member(member, Program::Honest));
    for member in 0..3 {
        assert_eq!(started(&ring, member, 2), second);
        assert_eq!(over(&ring, member, &second).len(), 1);
    }
}

#[test]
fn an_action_of_an_avatar_starts_a_process_by_the_log_of_the_member_that_took_it() {
    let ring = Ring::up(3);
    let mut clients = ClientRing::kept(&ring, 1);
    let desk = "service: desk\nevents:\n  acted:\n    from: {message: rings, type: FlushToRing, status: received}\n    \
         data: {author: string, ring: string}\n";
    let shop = example("shop").join("service.yml");
    let process = format!(
        "process: acts\nservices: {{desk: desk.yml, shop: {}}}\non: desk.acted\nnodes:\n  \
           pack: {{task: shop.pack, inputs: {{order: 1, item: \"${{event.ring}}\", count: 1, to: \"${{event.author}}\"}}}}\n",
        shop.display()
    );
    create(&ring, desk, &process);
    clients.say(0, "it is on the chain soon");
    let signed = clients.sign(0, Action::default());
    ask(&ring, 1, &clients.flush(0, &signed)).unwrap();
    let event = started(&ring, 2, 1);
    let pack = over(&ring, 2, &event);
    assert_eq!(over(&ring, 0, &event), pack);
    let (_, pack, _) = pack.first().unwrap();
    let shown = ring.rings(["execution", "show", pack]).text();
    let member = ring.json().member(1).to_string();
    let made = hex::encode(clients.address.0);
    assert!(shown.contains(&format!("0x{made} for {member}")), "{shown}");
    let trace = ring.rings(["trace", pack]).text();
    let line = format!(
        "event acted in ring {}, log {member}",
        ring.json().address("/ring")
    );
    assert!(trace.contains(&line), "{line}\n{trace}");
}
