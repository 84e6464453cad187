use crate::{
    bounds::MAX_NODES,
    document::{cid_of, Document},
    event::{Event, Source},
    mistake::Mistakes,
    plan::Plan,
    process::Process,
    process_file::ProcessDraft,
    service::Service,
    service_file::ServiceDraft,
};
use std::collections::BTreeMap;

const SERVICE: &str = "\
service: car
events:
  charged:
    data:
      kwh: {type: integer}
      driver: {type: object, required: [id], properties: {id: {type: string}, mail: {type: string}}}
      files: {type: array, items: {type: string, format: cid}}
tasks:
  price:
    program: price.wasm
    inputs: {kwh: integer, note: string}
    statuses:
      priced: {cents: integer}
      unknown: {}
  pay:
    program: pay.wasm
    inputs: {cents: integer}
    statuses: {paid: {receipt: string}}
  count:
    program: count.wasm
    inputs: {file: file}
    statuses: {counted: {words: integer}}
  sum:
    program: sum.wasm
    inputs: {counts: {type: array, items: {type: object}}}
    statuses: {summed: {words: integer}}
";

const PROCESS: &str = "\
process: charging
services: {car: service.yml}
on: car.charged
nodes:
  price:
    task: car.price
    inputs:
      kwh: ${event.kwh}
      note: \"charged by ${event.driver.id}\"
  big:
    after: price.priced
    filter: price.cents > 100 && event.kwh > 1
  bill:
    after: big
    map: price.cents + 5
    gives: integer
  pay:
    task: car.pay
    inputs: {cents: \"${bill}\"}
  count:
    task: car.count
    each: event.files
    inputs: {file: \"${item}\"}
  sum:
    task: car.sum
    inputs: {counts: \"${count}\"}
";

pub fn service(text: &str) -> Service {
    let draft = ServiceDraft::read("service.yml", text).unwrap();
    draft.finish(|_| Ok(cid_of(b"program"))).unwrap()
}

fn plan(text: &str) -> Result<Plan, Mistakes> {
    ProcessDraft::read("process.yml", text)?.finish(|file| match file {
        "service.yml" => Ok(service(SERVICE)),
        other => Err(format!("there is no file {other}; check the path")),
    })
}

#[test]
fn a_process_is_checked_against_its_services() {
    let plan = plan(PROCESS).unwrap();
    let order: Vec<_> = plan.order().map(|(name, _)| name).collect();
    assert_eq!(order, ["count", "price", "big", "bill", "pay", "sum"]);
    let pay = plan.step("pay").unwrap();
    assert_eq!(pay.after, [("bill".to_owned(), "done".to_owned())]);
    assert_eq!(
        pay.before.keys().collect::<Vec<_>>(),
        ["big", "bill", "price"]
    );
    // The canonical form is the same process, and needs no file.
    let bytes = plan.process().to_bytes().unwrap();
    let again = Process::from_bytes(&bytes).unwrap();
    let services = BTreeMap::from([("car".to_owned(), service(SERVICE))]);
    assert_eq!(
        Plan::new(again.clone(), services).unwrap().cid(),
        plan.cid()
    );
    let other = BTreeMap::from([(
        "car".to_owned(),
        service(&SERVICE.replace("receipt", "slip")),
    )]);
    assert!(Plan::new(again, other).unwrap_err()[0]
        .what
        .contains("take the definition"));
}

/// Each mistake, with the line on which it stands.
#[test]
fn what_does_not_exist_is_refused_when_the_process_is_made() {
    for (from, to, told) in [
        (
            "car.charged",
            "car.chargd",
            "process.yml:3:5: the service car has no event chargd; it has charged",
        ),
        (
            "on: car.charged",
            "on: bus.charged",
            "there is no service bus; under services there are: car",
        ),
        (
            "{car: service.yml}",
            "{car: servic.yml}",
            "process.yml:2:17: there is no file servic.yml",
        ),
        (
            "car.price",
            "car.prize",
            "process.yml:6:5: the service car has no task prize; it has count, pay, price, sum",
        ),
        (
            "price.priced",
            "price.prized",
            "price has no status prized; it has priced, unknown",
        ),
        (
            "after: price.priced",
            "after: price",
            "price can end in several ways",
        ),
        (
            "after: price.priced",
            "after: prize.priced",
            "there is no node prize",
        ),
        (
            "${event.kwh}",
            "${event.kw}",
            "process.yml:8:7: event.kw: there is no field kw; there are: driver, files, kwh",
        ),
        (
            "event.driver.id",
            "event.driver.mail",
            "may be missing; name it in the shape under required",
        ),
        (
            "event.driver.id",
            "event.driver.name",
            "there is no field name; the shape has id, mail",
        ),
        (
            "price.cents >",
            "price.cent >",
            "process.yml:12:5: price.cent: with status priced, there is no field cent",
        ),
        (
            "price.cents + 5",
            "pay.receipt",
            "pay does not come before this node",
        ),
        (
            "kwh: ${event.kwh}",
            "kwh: ${event.driver}",
            "event.driver is object, and the input kwh is integer",
        ),
        (
            "kwh: ${event.kwh}",
            "kwh: seven",
            "this constant does not fit",
        ),
        (
            "kwh: ${event.kwh}",
            "kwh: \"${event.kwh} kWh\"",
            "the input kwh is integer, and this is string",
        ),
        (
            "      kwh: ${event.kwh}\n",
            "",
            "the task car.price needs the input kwh",
        ),
        (
            "kwh: ${event.kwh}",
            "kwh: ${event.kwh}\n      kwx: 1",
            "process.yml:9:7: the task car.price has no input kwx",
        ),
        (
            "${item}",
            "${event.files}",
            "event.files is array, and the input file is string",
        ),
        (
            "each: event.files",
            "each: event.kwh",
            "event.kwh is no list",
        ),
        (
            "    each: event.files\n",
            "",
            "only a node with each has items",
        ),
        (
            "\"${count}\"",
            "\"${count.words}\"",
            "gives a list; write count alone",
        ),
        ("    gives: integer\n", "", "a map has no gives"),
        (
            "    gives: integer\n",
            "    gives: string\n",
            "bill is string, and the input cents is integer",
        ),
        (
            "filter: price.cents > 100 && event.kwh > 1",
            "filter: price.cents >",
            "process.yml:12:5: not a formula in CEL",
        ),
        (
            "filter: price.cents > 100",
            "filter: price.cents > 1.5",
            "a formula has no fractions",
        ),
        ("after: big", "after: [big, pay]", "wait for each other"),
        (
            "after: big\n",
            "after: [big, big.no]\n",
            "it can never start: it needs big to end as yes and as no",
        ),
        ("  big:\n", "  event:\n", "event has a meaning of its own"),
        ("on: car.charged", "on: {every: 0}", "the shortest is 1"),
        ("on: car.charged", "on: {cron: daily}", "is no cron pattern"),
        (
            "on: car.charged",
            "on: {every: 5, event: car.charged}",
            "a process has exactly one start",
        ),
    ] {
        let text = PROCESS.replacen(from, to, 1);
        assert_ne!(text, PROCESS, "{from}");
        let mistakes = plan(&text).unwrap_err().to_string();
        assert!(mistakes.contains(told), "{told}\n{mistakes}");
    }
}

#[test]
fn a_wait_is_checked_when_the_process_is_made() {
    let with = |wait: &str| format!("{PROCESS}  again: {{{wait}}}\n");
    let right = "after: pay.paid, wait: car.charged, match: {kwh: \"${event.kwh}\"}, within: 60";
    let made = plan(&with(right)).unwrap();
    let waits: Vec<_> = made
        .waits()
        .map(|(name, wait)| (name, wait.within))
        .collect();
    assert_eq!(waits, [("again", 60)]);
    for (wait, told) in [
        ("wait: car.charged", "add within: SECONDS"),
        ("wait: car.charged, within: 0", "0 seconds; write 1 to"),
        ("wait: car.parked, within: 1", "has no event parked"),
        (
            "wait: car.charged, within: 1, match: {kw: 1}",
            "has no field kw",
        ),
        (
            "wait: car.charged, within: 1, match: {kwh: \"${event.driver}\"}",
            "the field kwh is integer",
        ),
        (
            "wait: car.charged, within: 1, inputs: {kwh: 1}",
            "has no inputs, each or gives",
        ),
        (
            "wait: car.charged, within: 1, filter: event.kwh > 1",
            "a node that waits does nothing else",
        ),
        (
            "filter: event.kwh > 1, within: 1",
            "are for a node that waits",
        ),
    ] {
        let mistakes = plan(&with(wait)).unwrap_err().to_string();
        assert!(mistakes.contains(told), "{told}\n{mistakes}");
    }
    let after = |status: &str| {
        let task = "task: car.pay, inputs: {cents: \"${again.kwh}\"}";
        format!("{}  then: {{after: again.{status}, {task}}}\n", with(right))
    };
    plan(&after("came")).unwrap();
    let mistakes = plan(&after("expired")).unwrap_err().to_string();
    assert!(mistakes.contains("its event has not come"), "{mistakes}");
}

#[test]
fn all_faults_are_told_at_once() {
    let text = PROCESS
        .replace("${event.kwh}", "${event.kw}")
        .replace("price.cents + 5", "price.cent + 5");
    let lines: Vec<_> = plan(&text)
        .unwrap_err()
        .0
        .iter()
        .map(|mistake| mistake.at.line)
        .collect();
    assert_eq!(lines, [8, 15]);
}

#[test]
fn a_thousand_nodes_are_a_process_and_one_more_is_none() {
    let nodes = |count: usize| {
        let nodes = (0..count).map(|n| format!("  n{n}:\n    filter: event.kwh > {n}\n"));
        format!(
            "process: wide\nservices: {{car: service.yml}}\non: car.charged\nnodes:\n{}",
            nodes.collect::<String>()
        )
    };
    assert_eq!(plan(&nodes(MAX_NODES)).unwrap().order().count(), MAX_NODES);
    let refused = plan(&nodes(MAX_NODES + 1)).unwrap_err().to_string();
    assert!(refused.contains("at most 1000 are accepted"), "{refused}");
}

/// What the members find themselves is nobody's word: each source is named, and what has none may be told.
#[test]
fn an_event_that_the_members_find_is_not_to_be_told() {
    let ring = "0x0101010101010101010101010101010101010101";
    let planned = |from: &str, on: &str| {
        let data = "{driver: string, kwh: integer}";
        let service = "service: car\nevents:\n  charged:\n    FROM\n    data: DATA\ntasks:\n  pay: {program: pay.wasm, inputs: {}, statuses: {paid: {}}}\n";
        let text = service.replace("FROM", from).replace("DATA", data);
        let process = format!("process: p\nservices: {{car: service.yml}}\non: {on}\nnodes:\n  pay: {{task: car.pay, inputs: {{}}}}\n");
        let draft = ProcessDraft::read("process.yml", &process).unwrap();
        draft.finish(|_| Ok(self::service(&text))).unwrap()
    };
    for (from, told) in [
        (
            format!("from: {{contract: \"{ring}\", log: \"C(string driver, int64 kwh)\"}}"),
            format!("event charged comes from the logs C(string driver, int64 kwh) of contract {ring}, where the members find it themselves"),
        ),
        (
            format!("from: {{message: chat, ring: \"{ring}\"}}"),
            format!("the messages of domain chat in the logs of client ring {ring},"),
        ),
        (
            "from: {message: chat}".to_owned(),
            "the messages of domain chat in the logs of this ring,".to_owned(),
        ),
    ] {
        let plan = planned(&from, "car.charged");
        let refused = plan.may_be_told("car", "charged").unwrap_err().to_string();
        assert!(refused.contains(&told), "{refused}");
        assert!(plan.may_be_due("scheduled").is_ok());
        let (service, name) = plan.event().unwrap();
        let mut event = Event {
            event: name.to_owned(),
            service: Some(service),
            ..Event::scheduled(plan.cid(), 60)
        };
        assert_eq!(plan.check_told(&event), Ok(()), "a member has found it");
        for source in [Source::Hand { nonce: 0 }, Source::Webhook { id: "1".into() }] {
            event.source = source;
            assert!(plan.check_told(&event).is_err());
        }
    }
    let plan = planned("about: nobody finds it", "car.charged");
    assert_eq!(plan.may_be_told("car", "charged"), Ok(()));
    assert_eq!(plan.may_be_told("bus", "charged"), Ok(()));
    let plan = planned("about: nobody finds it", "{every: 60}");
    let refused = plan.may_be_due("scheduled").unwrap_err().to_string();
    assert!(
        refused.contains("comes from the schedule of the process"),
        "{refused}"
    );
    assert_eq!(plan.may_be_due("charged"), Ok(()));
}
