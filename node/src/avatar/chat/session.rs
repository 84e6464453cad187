//! A conversation: the avatar's own log, checked copies of the others', and how far each line is.
//!
//! What is said becomes a node on this disk first. Then a member is asked to hold it, and passes it on; the members' signatures
//! are collected and kept (`words.rs`). A member that tells of a new node is asked for it ([`ChatSession::hear`]). While none
//! tells anything, and now and then in any case, [`ChatSession::look`] asks one member where the logs end with it, and gets what is
//! new. If that member does not answer, the next one is asked. The heads on chain are looked at now and then, and the own one is moved
//! there each hundred nodes (or as set), when [`ChatSession::flush`] is asked for, or when something has waited too long.

mod keys;
mod members;

use super::{
    event::{ChatEvent, ChatLine, LineState, Person},
    limits,
    live::Live,
    watch::{LogWatch, TellingMember},
};
use crate::{
    avatar::{
        act::send,
        contacts::Contacts,
        deliver::{deliver, is_incomplete, is_replaced},
        fetch::range,
        place::Avatar,
        words::{self, Words},
    },
    exit::{ExitError, ExitStatus},
};
use rings_api::{
    client_rings::{ClientForkView, ClientRingsParams},
    notices::HeadNotice,
    Client,
};
use rings_client::{
    in_order, Action, Changes, Digest, LogCopies, LogMessage, LogNode, People, Said,
};
use rings_member::clock;
use rings_protocol::{log::ForkClaim, Address};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Time for a member to answer before the next one is asked.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// How often the chain is looked at.
const CHAIN_LOOK: Duration = Duration::from_secs(2);
/// How often it is looked for what is new although members tell of it.
const SELDOM: Duration = Duration::from_secs(2);
/// Milliseconds for further members to sign that they hold a line.
const GATHER: u64 = 250;
/// Between two attempts to have more members sign, at first and at most.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_AT_MOST: Duration = Duration::from_secs(15);
/// How often the logs at a member are gone through for keys that stand in each other's logs.
const KEY_PASSES: usize = 8;
/// Nodes of others that are kept to be sent along, to a member that has not got them yet.
const RECENT: usize = 64;

/// A conversation.
pub(super) struct ChatSession {
    avatar: Avatar,
    /// Which member is asked.
    at: usize,
    copies: LogCopies,
    /// What was said here before, until it is shown among what the others said.
    history: Vec<LogNode>,
    people: People,
    contacts: Contacts,
    words: Words,
    /// The newest own node that each member has signed to hold.
    held: BTreeMap<Address, u64>,
    /// The newest node of each log that is on chain.
    on_chain: BTreeMap<Address, u64>,
    /// When the newest node of each log came to the members, in milliseconds since 1970.
    since: BTreeMap<Address, u64>,
    members: BTreeSet<Address>,
    /// Who signed two histories.
    forked: BTreeSet<Address>,
    recent: VecDeque<LogNode>,
    look_due: Instant,
    chain_due: Instant,
    gather_due: Instant,
    gather_pause: Duration,
    /// Since when something own is not on chain.
    waiting: Option<Instant>,
    flush_after: Duration,
    /// So many nodes that are not on chain bring the head there; 0: none do.
    flush_each: u64,
    /// What members want to change, and who has signed it; nothing until the chain has been asked who is a member.
    changes: Option<(u64, Changes)>,
    /// What was said about such changes, for when the members have changed.
    about_members: VecDeque<(Address, LogMessage)>,
    /// Whether a member asks for another key.
    key_asked: bool,
    /// When it is this device's turn to change the key, if it is to be changed.
    key_due: Option<Instant>,
    /// Whether nobody answered when it was asked last.
    alone: bool,
    shown: Vec<Person>,
}

impl ChatSession {
    /// The conversation of an avatar, which has said nothing new yet.
    ///
    /// # Errors
    /// Status 2 when a file cannot be used.
    pub(super) async fn open(
        avatar: Avatar,
        (flush_after, flush_each): (Duration, u64),
    ) -> Result<Self, ExitError> {
        let (me, now) = (avatar.address(), Instant::now());
        let mut copies = LogCopies::new(avatar.home.domain, avatar.home.secrecy.clone());
        let mut history = Vec::new();
        for node in avatar.log.log().nodes() {
            let added = copies.add(me, node.bytes());
            history
                .push(added.map_err(|error| ExitError::usage(error.to_string()).because(error))?);
        }
        let contacts = Contacts::open(&avatar.home.files)?;
        let mut people = People::default();
        for (avatar, name) in contacts.all() {
            people.call(avatar, name);
        }
        Ok(Self {
            at: 0,
            copies,
            history,
            people,
            contacts,
            words: Words::open(words::path(avatar.log.path()))?,
            held: BTreeMap::new(),
            on_chain: BTreeMap::new(),
            since: BTreeMap::new(),
            members: BTreeSet::new(),
            forked: BTreeSet::new(),
            recent: VecDeque::new(),
            look_due: now,
            chain_due: now,
            gather_due: now,
            gather_pause: AGAIN,
            waiting: None,
            flush_after,
            flush_each,
            changes: None,
            about_members: VecDeque::new(),
            key_asked: false,
            key_due: None,
            alone: false,
            shown: Vec::new(),
            avatar,
        })
    }

    fn me(&self) -> Address {
        self.avatar.address()
    }

    /// The own newest node; nothing while there is none.
    fn own_end(&self) -> Option<u64> {
        self.copies.next_seq(self.me()).checked_sub(1)
    }

    /// Whether all that was said is held by a member.
    pub(super) fn is_held(&self) -> bool {
        let end = self.own_end();
        self.avatar.log.is_restored() || end.is_none_or(|end| self.held_by(end) > 0)
    }

    fn held_by(&self, seq: u64) -> usize {
        self.held.values().filter(|held| **held >= seq).count()
    }

    fn state(&self, author: Address, seq: u64) -> LineState {
        if self.on_chain.get(&author).is_some_and(|end| *end >= seq) {
            return LineState::Final;
        }
        match (author == self.me(), self.held_by(seq)) {
            (true, 0) => LineState::Written,
            (true, replicas) => LineState::Held { replicas },
            // It came from a member.
            (false, _) => LineState::Held { replicas: 1 },
        }
    }

    /// Says a line.
    ///
    /// # Errors
    /// When it cannot be written here.
    pub(super) async fn say(&mut self, text: &str, live: &mut Live) -> Result<(), ExitError> {
        if let Some(why) = self.unsayable(text) {
            live.note(why);
            return Ok(());
        }
        self.write(&Said::line(text), live).await
    }

    /// Why a line would never come to anybody.
    fn unsayable(&self, text: &str) -> Option<String> {
        if !self.avatar.is_member {
            return Some(format!(
                "this was not said: {} is not a member of ring {}, so nobody would take it; let a member invite it (/invite)",
                self.me(),
                self.avatar.ring
            ));
        }
        limits::refuse_line(text)
    }

    /// Says how this avatar wants to be called, if that is news.
    ///
    /// # Errors
    /// As [`ChatSession::say`].
    pub(super) async fn call_myself(
        &mut self,
        name: &str,
        live: &mut Live,
    ) -> Result<(), ExitError> {
        let me = self.me();
        if self.people.said_name(me) == Some(name) || self.avatar.log.is_restored() {
            return Ok(());
        }
        if let Some(why) = limits::refuse_name(name) {
            live.note(why);
            return Ok(());
        }
        let said = Said::name(name, self.people.named_by(me));
        self.write(&said, live).await
    }

    /// Calls somebody so, here and from now on.
    ///
    /// # Errors
    /// When it cannot be written here.
    pub(super) fn call(
        &mut self,
        avatar: Address,
        name: &str,
        live: &mut Live,
    ) -> Result<(), ExitError> {
        if let Some(why) = limits::refuse_name(name) {
            live.note(why);
            return Ok(());
        }
        self.contacts.call(avatar, name)?;
        self.people.call(avatar, name);
        self.show_people(false, live);
        Ok(())
    }

    /// Writes a node, shows it, and has it held.
    async fn write(&mut self, said: &Said, live: &mut Live) -> Result<(), ExitError> {
        self.write_all(vec![said.to_message()], live).await
    }

    async fn write_all(
        &mut self,
        messages: Vec<LogMessage>,
        live: &mut Live,
    ) -> Result<(), ExitError> {
        self.check_key(live).await?;
        let (me, refs) = (self.me(), self.copies.heads_beside(self.me()));
        let written =
            self.avatar
                .log
                .append(&self.avatar.key, messages, (&refs, clock::known_seconds()));
        match written {
            Err(error) if error.status() == ExitStatus::Usage => {
                live.note(error.to_string());
                return Ok(());
            }
            written => written?,
        }
        self.take_own(me, live)?;
        self.gather_pause = AGAIN;
        self.gather(1, live).await;
        self.gather_due = Instant::now();
        Ok(())
    }

    /// Takes in what was written into the own log.
    fn take_own(&mut self, me: Address, live: &mut Live) -> Result<(), ExitError> {
        let fresh = self.avatar.log.log().nodes().iter();
        let fresh: Vec<_> = fresh
            .skip(self.copies.next_seq(me) as usize)
            .cloned()
            .collect();
        for node in &fresh {
            let added = self.copies.add(me, node.bytes());
            added.map_err(|error| ExitError::internal("the own log is broken").because(error))?;
        }
        self.waiting.get_or_insert_with(Instant::now);
        self.take_in(fresh, live);
        Ok(())
    }

    /// Has the own log held, by so many members within a moment.
    async fn gather(&mut self, replicas: usize, live: &mut Live) {
        let clients = self.avatar.home.clients.len();
        for _ in 0..clients {
            let client = self.avatar.home.clients[self.at % clients].clone();
            if self.gather_at(&client, replicas, live).await {
                return;
            }
            self.at += 1;
        }
    }

    /// The same at one member. Says whether it holds the log.
    async fn gather_at(&mut self, client: &Client, replicas: usize, live: &mut Live) -> bool {
        let (me, before) = (self.me(), self.own_end().map(|end| self.held_by(end)));
        let known = self.held.values().max();
        let known = known.and_then(|seq| self.copies.digest_at(me, *seq));
        let known = known.unwrap_or(self.avatar.on_chain.head);
        let others: Vec<_> = self.recent.iter().cloned().collect();
        let how = (
            u32::try_from(replicas).unwrap_or(u32::MAX),
            if replicas > 1 { GATHER } else { 0 },
        );
        let asked = deliver(client, &self.avatar, (known, &others), how);
        let held = match timeout(ASK_LIMIT, asked).await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) if is_incomplete(&error) => return false,
            Ok(Err(error)) if is_replaced(&error) => {
                self.complain(
                    "the ring has a new key; what you say next is sealed with it and takes along what waits: nothing is lost",
                    live,
                );
                return false;
            }
            Ok(Err(error)) => {
                self.complain(&error.to_string(), live);
                return false;
            }
            Err(_) => return false,
        };
        self.alone = false;
        let by = match self.words.take(&self.avatar.home, me, &held) {
            Ok(by) => by,
            Err(error) => {
                self.complain(&error.to_string(), live);
                return false;
            }
        };
        let Some(seq) = self.copies.position(me, held.head) else {
            return false;
        };
        for replica in by {
            let newest = self.held.entry(replica).or_insert(seq);
            *newest = (*newest).max(seq);
        }
        if let Some(end) = self.own_end() {
            let replicas = self.held_by(end);
            if replicas > 0 && before != Some(replicas) {
                let state = LineState::Held { replicas };
                live.show(&ChatEvent::State {
                    avatar: me,
                    seq: end,
                    mine: true,
                    state,
                });
            }
        }
        true
    }

    /// Says once that nothing goes out.
    fn complain(&mut self, why: &str, live: &mut Live) {
        if !self.alone {
            live.note(format!("your messages wait on this device: {why}"));
        }
        self.alone = true;
    }

    /// Has the members tell of what is new.
    pub(super) fn watch(&self) -> LogWatch {
        LogWatch::new(&self.avatar.home.clients, self.avatar.ring)
    }

    /// A member tells of something new.
    ///
    /// # Errors
    /// As [`ChatSession::look`].
    pub(super) async fn hear(
        &mut self,
        told: TellingMember,
        live: &mut Live,
    ) -> Result<(), ExitError> {
        let client = self.avatar.home.clients[told.at].clone();
        match told.head {
            None => {
                self.look_at(&client, live).await?;
            }
            Some(head) => {
                let fresh = self.take_head(&client, head).await?;
                self.take_in(in_order(fresh), live);
                self.take_keys(live)?;
            }
        }
        self.show_people(false, live);
        Ok(())
    }

    /// Looks for what is new.
    ///
    /// # Errors
    /// When the avatar's key is used elsewhere too.
    pub(super) async fn look(&mut self, live: &mut Live) -> Result<(), ExitError> {
        self.tick(false, live).await
    }

    /// Sees to what is due. While members tell of what is new, it is looked for seldom.
    ///
    /// # Errors
    /// As [`ChatSession::look`].
    pub(super) async fn tick(&mut self, is_told: bool, live: &mut Live) -> Result<(), ExitError> {
        if !is_told || Instant::now() >= self.look_due {
            self.look_around(live).await?;
            self.look_due = Instant::now() + SELDOM;
        }
        self.gather_more(live).await;
        if Instant::now() >= self.chain_due {
            self.look_at_chain(live).await?;
            self.chain_due = Instant::now() + CHAIN_LOOK;
        }
        self.show_people(false, live);
        Ok(())
    }

    /// Asks the members, one after the other, until one answers.
    async fn look_around(&mut self, live: &mut Live) -> Result<(), ExitError> {
        let clients = self.avatar.home.clients.len();
        for _ in 0..clients {
            let client = self.avatar.home.clients[self.at % clients].clone();
            if self.look_at(&client, live).await? {
                break;
            }
            self.at += 1;
        }
        Ok(())
    }

    /// What one member has that is not here. Says whether it answers.
    async fn look_at(&mut self, client: &Client, live: &mut Live) -> Result<bool, ExitError> {
        let ring = self.avatar.ring;
        let which = ClientRingsParams {
            ring: Some(ring),
            from: None,
        };
        let Ok(Ok(answer)) = timeout(ASK_LIMIT, client.client_rings(&which)).await else {
            return Ok(false);
        };
        for fork in answer.rings.iter().flat_map(|ring| &ring.forks) {
            self.tell_fork(fork, live);
        }
        self.key_asked = answer.rings.iter().any(|ring| ring.rotate);
        let heads = answer.rings.into_iter().flat_map(|ring| ring.heads);
        let heads: Vec<_> = heads
            .map(|head| HeadNotice {
                ring,
                member: head.avatar,
                seq: head.seq,
                head: head.head,
                since: head.since,
            })
            .collect();
        let mut fresh = Vec::new();
        for _ in 0..KEY_PASSES {
            let keys = self.key_count();
            for head in &heads {
                fresh.append(&mut self.take_head(client, *head).await?);
            }
            // A log may begin to be readable by a key that stands in another one.
            if self.key_count() == keys {
                break;
            }
        }
        self.alone = false;
        fresh.append(&mut self.history);
        self.take_in(in_order(fresh), live);
        self.take_keys(live)?;
        Ok(true)
    }

    /// Says once that somebody signed two histories, if the evidence of it holds.
    fn tell_fork(&mut self, fork: &ClientForkView, live: &mut Live) {
        let claim = ForkClaim::from_bytes(&fork.claim.0);
        let author = claim.and_then(|claim| claim.verify(self.copies.domain()));
        if author == Ok(fork.avatar) && self.forked.insert(fork.avatar) {
            let name = self.people.name(fork.avatar);
            live.note(format!(
                "{name} ({}) signed two histories, as two devices with one key do: its log is being frozen; what was said stays, and it goes on with a fresh avatar",
                fork.avatar
            ));
        }
    }

    /// Gets what a member has of a log and is not here.
    async fn take_head(
        &mut self,
        client: &Client,
        head: HeadNotice,
    ) -> Result<Vec<LogNode>, ExitError> {
        let (author, mut fresh) = (head.member, Vec::new());
        let is_new = head.seq >= self.copies.next_seq(author);
        let is_mine = author == self.me();
        if is_mine && is_new && !self.avatar.log.is_restored() {
            return Err(ExitError::usage(format!(
                "the key of {author} has written on another device: two devices with one key would fork its log; go on there, and make a fresh avatar for this device"
            )));
        }
        if !is_mine && !self.is_known(author).await {
            return Ok(fresh);
        }
        while self.copies.next_seq(author) <= head.seq {
            let first = self.copies.next_seq(author);
            let ring = self.avatar.ring;
            let page = timeout(ASK_LIMIT, range(client, (ring, author), (first, head.seq)));
            let Ok(Ok(page)) = page.await else {
                break;
            };
            let before = fresh.len();
            for bytes in page {
                // What does not come next is served by somebody who is at fault; another member is asked later.
                let Ok(node) = self.copies.add(author, &bytes) else {
                    break;
                };
                fresh.push(node);
            }
            if fresh.len() == before {
                self.at += 1;
                break;
            }
        }
        let since = self.since.entry(author).or_default();
        *since = (*since).max(head.since);
        Ok(fresh)
    }

    /// Whether an account is a member of the ring, or was one.
    async fn is_known(&mut self, author: Address) -> bool {
        if self.members.contains(&author) || self.copies.next_seq(author) > 0 {
            return true;
        }
        let on_chain = self
            .avatar
            .home
            .chain
            .avatar(self.avatar.ring, author)
            .await;
        on_chain.is_ok_and(|state| state.is_member || !state.head.is_zero())
    }

    /// Shows nodes that are new here.
    fn take_in(&mut self, nodes: Vec<LogNode>, live: &mut Live) {
        for node in nodes {
            let (author, seq) = (node.author(), node.seq());
            let messages = self.copies.messages(&node).unwrap_or_default();
            self.hear_changes(author, &messages, live);
            for said in messages.iter().filter_map(Said::from_message) {
                self.people.hear(author, &said);
                let Said::Line(text) = said else { continue };
                live.show(&ChatEvent::Message(ChatLine {
                    avatar: author,
                    name: self.people.name(author),
                    mine: author == self.me(),
                    seq,
                    time: node.content().time,
                    text,
                    state: self.state(author, seq),
                }));
            }
            if author != self.me() {
                self.recent.push_back(node);
                while self.recent.len() > RECENT {
                    self.recent.pop_front();
                }
            }
        }
    }

    /// Has more members sign for what was said, if not all of them have.
    async fn gather_more(&mut self, live: &mut Live) {
        let all = self.avatar.home.clients.len();
        let is_done = self.own_end().is_none_or(|end| self.held_by(end) >= all);
        if is_done || self.avatar.log.is_restored() || Instant::now() < self.gather_due {
            return;
        }
        self.gather(all, live).await;
        self.gather_due = Instant::now() + self.gather_pause;
        self.gather_pause = (2 * self.gather_pause).min(AGAIN_AT_MOST);
    }

    /// Looks at the heads on chain, and brings the own one there when that is due.
    async fn look_at_chain(&mut self, live: &mut Live) -> Result<(), ExitError> {
        let (ring, chain) = (self.avatar.ring, self.avatar.home.chain.clone());
        let Ok(now) = self.avatar.home.membership().await else {
            return Ok(());
        };
        self.members = now.members.iter().copied().collect();
        self.see_members(&now, live);
        self.change_key(&now, live).await?;
        for author in self.members.clone() {
            let Ok(state) = chain.avatar(ring, author).await else {
                return Ok(());
            };
            self.final_up_to(author, state.head, live);
        }
        if self.avatar.refresh().await.is_err() {
            return Ok(());
        }
        let end = self.own_end();
        let on_chain = self.on_chain.get(&self.me()).copied();
        if end == on_chain {
            self.waiting = None;
        }
        let next = on_chain.map_or(0, |seq| seq + 1);
        let is_long =
            self.flush_each > 0 && end.is_some_and(|end| end + 1 >= next + self.flush_each);
        let is_late = self
            .waiting
            .is_some_and(|since| since.elapsed() >= self.flush_after);
        if (is_long || is_late) && end > on_chain {
            self.waiting = Some(Instant::now());
            return self.flush(live).await;
        }
        Ok(())
    }

    fn final_up_to(&mut self, author: Address, head: Digest, live: &mut Live) {
        let Some(seq) = self.copies.position(author, head) else {
            return;
        };
        if self.on_chain.insert(author, seq) != Some(seq) {
            live.show(&ChatEvent::State {
                avatar: author,
                seq,
                mine: author == self.me(),
                state: LineState::Final,
            });
        }
    }

    /// Brings the own head to the chain. That it is there shows when the chain is looked at.
    ///
    /// # Errors
    /// When the own log cannot be written.
    pub(super) async fn flush(&mut self, live: &mut Live) -> Result<(), ExitError> {
        if self.own_end().is_none() {
            live.note("you have said nothing yet");
            return Ok(());
        }
        match self.avatar.refresh().await {
            Ok(()) if self.avatar.on_chain.head == self.avatar.log.log().head() => {
                live.note("all that you said is on the chain");
                return Ok(());
            }
            Ok(()) => {}
            Err(error) => {
                live.note(error.to_string());
                return Ok(());
            }
        }
        match send(&mut self.avatar, Action::default(), None).await {
            Ok(_) => self.chain_due = Instant::now(),
            Err(error) => live.note(format!("not brought to the chain now: {error}")),
        }
        Ok(())
    }

    /// Shows who is in the ring, because somebody asks.
    pub(super) fn tell_who(&mut self, live: &mut Live) {
        self.show_people(true, live);
    }

    /// Shows who is in the ring, if that is news, or asked.
    fn show_people(&mut self, asked: bool, live: &mut Live) {
        let now = clock::milliseconds();
        let mut rest = self.members.clone();
        let mut people = Vec::new();
        while let Some(first) = rest.pop_first() {
            let devices = self.people.devices(first);
            rest.retain(|other| !devices.contains(other));
            let seen = devices
                .iter()
                .filter_map(|avatar| self.since.get(avatar))
                .max();
            people.push(Person {
                name: self.people.name(first),
                me: devices.contains(&self.me()),
                seen: seen.map(|since| now.saturating_sub(*since) / 1000),
                avatars: devices.into_iter().collect(),
            });
        }
        let minutes = |people: &[Person]| -> Vec<Person> {
            let people = people.iter().cloned();
            let rounded = people.map(|person| Person {
                seen: person.seen.map(|seconds| seconds / 60),
                ..person
            });
            rounded.collect()
        };
        if asked || minutes(&people) != minutes(&self.shown) {
            let shown = people.clone();
            live.show(&ChatEvent::People { people, asked });
            self.shown = shown;
        }
    }
}
