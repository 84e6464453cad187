//! The shapes of answers in JSON.
//!
//! The server writes these types, the client reads the same ones, and the OpenRPC document is derived from them, so
//! that the three cannot drift apart. Names in JSON are camelCase; a value that is not known is `null`.
//!
//! The doc comments of fields are the descriptions in that document, so they are written for whoever calls the
//! interface. A field that is added later has a default, so that a newer client can read an older member. No type of
//! another room is sent as it is: what the inside calls something may change, the interface does not.

use super::{
    json::{maybe_text, text, HexBytes, Pin, Uint96},
    schema,
};
use cid::Cid;
use rings_protocol::{
    cids::data_cid,
    eip712::Domain,
    gate::GateInput,
    log::{LogNode, Opening},
    private::{Unsealed, UnsealedError},
    request::RequestInput,
    Address, Digest,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `rings_status`: one member at one moment.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version of this program.
    pub version: String,
    /// The profile that this member computes (WebAssembly engine and configuration); members of different profiles may disagree.
    pub profile: String,
    /// Chain id that the provider reports; 0 before it has been reached.
    pub chain_id: u64,
    /// Newest block seen.
    pub block: u64,
    /// Whether the member keeps up with the chain.
    pub following: bool,
    /// Why it does not do its work now: what it waits for to keep up with the chain, or how its block store fails.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Account of this member.
    #[schemars(with = "schema::Address")]
    pub member: Address,
    /// libp2p id of this member (`16Uiu2HA…`).
    pub peer_id: String,
    /// How many other members are connected.
    pub peers: u32,
    /// The ring this member works for.
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// Epoch of that ring.
    pub epoch: u64,
    /// Head of this member's own log; `null` while the log is empty.
    pub head: Option<Head>,
    /// The block store.
    pub store: StoreStatus,
    /// The addresses at which others can reach this member, as the chain has them.
    #[serde(default)]
    pub announced: Vec<String>,
    /// Wei of this member's account, as text, since it may be more than a number of JSON holds; `null` before it was asked.
    #[serde(default)]
    pub balance: Option<String>,
    /// How many registrations of results that pays for, about; `null` before the price is known.
    #[serde(default)]
    pub registrations: Option<u64>,
    /// The providers of the chain, in the order in which they are configured.
    #[serde(default)]
    pub providers: Vec<ProviderView>,
    /// Members that are not connected with this one.
    #[serde(default)]
    pub unreachable: Vec<UnreachableView>,
    /// What somebody should look at, in words for people; empty when all is well.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A provider of a member's chain.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Provider")]
pub struct ProviderView {
    /// Scheme and host; the rest of its URL may hold a secret.
    pub endpoint: String,
    /// Whether it is the one that is asked first now.
    pub used: bool,
    /// Why it is put aside for a while; `null` when it is well.
    pub trouble: Option<String>,
}

/// A member that is not connected with the one that is asked.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Unreachable")]
pub struct UnreachableView {
    /// Its account.
    #[schemars(with = "schema::Address")]
    pub member: Address,
    /// Since when, in milliseconds since 1970; since the start of the member that is asked, if it never was connected.
    pub since: u64,
    /// Why, in words for people.
    pub reason: String,
}

/// The newest node of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Its sequence number; the first node has 0.
    pub seq: u64,
    /// Its CID.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub cid: Cid,
}

/// How full a member's block store is.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Store")]
pub struct StoreStatus {
    /// `embedded` or `kubo`.
    pub kind: String,
    /// Number of blocks.
    pub blocks: u64,
    /// Sum of their sizes in bytes.
    pub bytes: u64,
}

/// `rings_getRing`: a ring and its members.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Ring")]
pub struct RingView {
    /// The ring's contract.
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// The engine's contract, which owns the ring.
    #[schemars(with = "schema::Address")]
    pub engine: Address,
    /// Who may let members in and out; `null` where two thirds of the members do it themselves.
    #[schemars(with = "Option<schema::Address>")]
    pub keeper: Option<Address>,
    /// Rises with each change of membership.
    pub epoch: u64,
    /// Signatures needed in this epoch.
    pub quorum: u64,
    /// Digest of the newest ring node; all zero while there is none.
    #[schemars(with = "schema::Digest")]
    pub ring_node_head: Digest,
    /// Proofs that members, now or before, signed two nodes for one position of their logs.
    #[serde(default)]
    pub forks: Vec<ForkView>,
    /// All members, in the contract's order.
    pub members: Vec<MemberView>,
}

/// That an account signed two nodes for one position of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Fork")]
pub struct ForkView {
    /// The account.
    #[schemars(with = "schema::Address")]
    pub member: Address,
    /// The position.
    pub seq: u64,
    /// Whether it is settled on chain: the account is no member, or its log is frozen.
    pub proven: bool,
}

/// One member, as another sees it.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Member")]
pub struct MemberView {
    /// Its account.
    #[schemars(with = "schema::Address")]
    pub address: Address,
    /// Its libp2p id, once it has announced its key.
    pub peer_id: Option<String>,
    /// Where it can be reached, as a text multiaddress, once announced: the first of `multiaddresses`.
    pub multiaddress: Option<String>,
    /// All addresses that it has announced, the best first.
    #[serde(default)]
    pub multiaddresses: Vec<String>,
    /// The program that it is, as it said itself when it connected.
    #[serde(default)]
    pub program: Option<String>,
    /// Whether there is a connection to it now (always true of the member that is asked).
    pub connected: bool,
    /// Milliseconds since 1970 when it was last heard.
    pub last_seen: Option<u64>,
    /// Head of its log, as far as it is known here.
    pub head: Option<Head>,
    /// Gates for which it voted against what was registered.
    #[schemars(with = "Vec<schema::Address>")]
    pub diverged: Vec<Address>,
    /// Whether there is a proof that it signed two nodes for one position of its log.
    #[serde(default)]
    pub forked: bool,
    /// How often it did not deliver log nodes that it should have, since the member that is asked was started.
    #[serde(default)]
    pub stalled: u64,
    /// The first node of its log that is not held today, because its quota is used up; `null` while all is held.
    #[serde(default)]
    pub held_back: Option<u64>,
}

/// `rings_getGate`: a gate, its votes and its result.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Gate")]
pub struct GateView {
    /// The gate's contract.
    #[schemars(with = "schema::Address")]
    pub gate: Address,
    /// How far it is.
    pub state: GateState,
    /// Why it was declined or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Scope of its tokens; `null` while the gate is unknown.
    #[schemars(with = "Option<schema::Address>")]
    pub scope: Option<Address>,
    /// Assigned rings, the primary first.
    #[schemars(with = "Vec<schema::Address>")]
    pub rings: Vec<Address>,
    /// Input pins in order; the first is the operation.
    pub inputs: Vec<InputView>,
    /// Number of output pins.
    pub outputs: Uint96,
    /// Epoch in which the votes are counted.
    pub epoch: u64,
    /// Signatures needed in that epoch.
    pub quorum: u64,
    /// What was registered on chain; `null` until then.
    pub result: Option<Vec<ResultView>>,
    /// Votes seen here.
    pub votes: Vec<VoteView>,
    /// Members whose vote has not been seen here.
    #[schemars(with = "Vec<schema::Address>")]
    pub silent: Vec<Address>,
    /// Transaction that registered the result.
    #[schemars(with = "Option<schema::Digest>")]
    pub transaction: Option<Digest>,
    /// Block of that transaction.
    pub block: Option<u64>,
    /// Whether there are so many blocks on top of it that the result is called final: `[chain] confirmations` of the member
    /// that is asked.
    #[serde(default, rename = "final")]
    pub is_final: bool,
    /// How long each step took at this member.
    pub milliseconds: GateTimes,
    /// What a person should know about the run at this member, while it remembers it. It is not part of the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl GateView {
    /// The fuel that the votes of `signers` name. It is not signed with the result; of members of the same profile
    /// that agree on a result, it is the same.
    pub fn fuel_of(&self, signers: &[Address]) -> Option<u64> {
        let vote = self
            .votes
            .iter()
            .find(|vote| signers.contains(&vote.member));
        vote.map(|vote| vote.fuel)
    }
}

/// What one input of a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(untagged)]
#[schemars(rename = "RequestInput")]
pub enum RequestInputView {
    /// Data that is there.
    Data {
        /// The UnixFS file.
        #[serde(with = "text")]
        #[schemars(with = "schema::Cid")]
        cid: Cid,
    },
    /// An output of another request.
    Output {
        /// That request.
        #[schemars(with = "schema::Digest")]
        request: Digest,
        /// Which of its outputs, from 0.
        pin: u32,
    },
}

impl From<&RequestInput> for RequestInputView {
    fn from(input: &RequestInput) -> Self {
        match input {
            RequestInput::Data(digest) => Self::Data {
                cid: data_cid(*digest),
            },
            RequestInput::Output { request, pin } => Self::Output {
                request: *request,
                pin: *pin,
            },
        }
    }
}

/// `rings_request`: a request that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Requested")]
pub struct RequestedView {
    /// The request's digest, which is its name.
    #[schemars(with = "schema::Digest")]
    pub request: Digest,
    /// Number of the last ring node that may list it; `null` where only what a ring node lists is known of it.
    pub until: Option<u64>,
    /// Whether it was written now. Otherwise it was there already.
    pub fresh: bool,
    /// The node of this member's log in which it was written now.
    pub node: Option<Head>,
}

/// `rings_getRequest`: a request, the votes on it, and its result.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Request")]
pub struct RequestView {
    /// The request's digest.
    #[schemars(with = "schema::Digest")]
    pub request: Digest,
    /// How far it is.
    pub state: RequestState,
    /// Why it was refused, or why this member has no result of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The account in whose log it stands, as far as it is known here.
    #[schemars(with = "Option<schema::Address>")]
    pub author: Option<Address>,
    /// The ring that is asked.
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// Its chain.
    pub chain_id: u64,
    /// The profile that it names; `null`, as all that it says, where only what a ring node lists is known of it.
    pub profile: Option<String>,
    /// The operation.
    #[serde(with = "maybe_text")]
    #[schemars(with = "Option<schema::Cid>")]
    pub operation: Option<Cid>,
    /// The other inputs, in order.
    pub inputs: Vec<RequestInputView>,
    /// Tells requests apart that ask for the same.
    pub nonce: Option<u64>,
    /// Number of the last ring node that may list it.
    pub until: Option<u64>,
    /// Epoch of the members whose votes are counted.
    pub epoch: u64,
    /// Votes needed in that epoch.
    pub quorum: u64,
    /// What two thirds voted for, or what a ring node lists.
    pub result: Option<Vec<ResultView>>,
    /// Votes seen here, while they are kept.
    pub votes: Vec<RequestVoteView>,
    /// Members whose vote has not been seen here.
    #[schemars(with = "Vec<schema::Address>")]
    pub silent: Vec<Address>,
    /// The ring node that lists it.
    pub ring_node: Option<RingNodeView>,
    /// Whether a ring node lists it, and there are so many blocks on top of that one that it is called final: `[chain]
    /// confirmations` of the member that is asked.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// How long each step took at this member, while it remembers it.
    pub milliseconds: RequestTimesView,
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "RequestState")]
pub enum RequestState {
    /// This node has not heard of it, or has forgotten it.
    Unknown,
    /// It waits for outputs of other requests.
    Waiting,
    /// All inputs are known; votes are being collected.
    Open,
    /// Two thirds have voted the same, and no ring node lists it yet.
    Agreed,
    /// A ring node lists it.
    Listed,
    /// No ring node listed it up to the last one that might.
    Expired,
    /// This member does not take it up.
    Refused,
}

/// One member's vote on a request.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RequestVote")]
pub struct RequestVoteView {
    /// Who voted.
    #[schemars(with = "schema::Address")]
    pub member: Address,
    /// Hash of those inputs that are outputs of other requests, as the member found them.
    #[schemars(with = "schema::Digest")]
    pub inputs: Digest,
    /// What it voted for.
    pub outputs: Vec<OutputView>,
    /// Whether it is what two thirds voted for; `null` until they have, or where the inputs are others.
    pub agrees: Option<bool>,
    /// The profile that it ran (WebAssembly engine and configuration).
    pub profile: String,
    /// Units of fuel that the program used.
    pub fuel: u64,
}

/// A ring node as the chain names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RingNode")]
pub struct RingNodeView {
    /// Its number in the ring log, from 0.
    pub number: u64,
    /// Its header.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub cid: Cid,
    /// The transaction that registered it.
    #[schemars(with = "schema::Digest")]
    pub transaction: Digest,
    /// The block of that transaction.
    pub block: u64,
}

/// Milliseconds spent on a request by the member that is asked; `null` for a step not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RequestTimes")]
pub struct RequestTimesView {
    /// From the moment when its inputs were known to the own result.
    pub compute: Option<u64>,
    /// From the own result to two thirds.
    pub quorum: Option<u64>,
    /// From two thirds to a ring node on chain.
    pub list: Option<u64>,
}

/// `rings_getProof`: the proof that a ring node lists a request.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Proof")]
pub struct ProofView {
    /// The request's digest.
    #[schemars(with = "schema::Digest")]
    pub request: Digest,
    /// The proof in canonical DAG-CBOR, as it is written to a file.
    pub proof: HexBytes,
    /// The ring node that lists it.
    pub ring_node: RingNodeView,
    /// The ring node that the chain must name for the proof to hold.
    pub anchor: RingNodeView,
    /// Whether the chain names the anchor for good.
    pub lasting: bool,
    /// Whether the registration of the ring node that lists it is final.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The same for the ring's contract, while it names the ring node that lists the request.
    pub contract: ContractProofView,
}

/// The arguments of `IRing.proveResult`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ContractProof")]
pub struct ContractProofView {
    /// The header of the ring node that lists the request.
    pub header: HexBytes,
    /// Its number.
    pub number: u64,
    /// The entry.
    pub entry: HexBytes,
    /// The path from the entry to the root.
    #[schemars(with = "Vec<schema::Digest>")]
    pub path: Vec<Digest>,
}

/// How far a gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "State")]
pub enum GateState {
    /// This node has not heard of it.
    Unknown,
    /// It waits for outputs of other gates.
    Waiting,
    /// All inputs are there; votes are being collected.
    Ready,
    /// This member does not work for whoever asked.
    Declined,
    /// The result is on chain.
    Resolved,
    /// The ring agreed that the program failed, or a gate before it did.
    Failed,
}

/// What one input pin carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(untagged)]
#[schemars(rename = "Input")]
pub enum InputView {
    /// Data that is there.
    Data {
        /// The UnixFS file.
        #[serde(with = "text")]
        #[schemars(with = "schema::Cid")]
        cid: Cid,
    },
    /// A future: the output of another gate.
    Output {
        /// That gate.
        #[schemars(with = "schema::Address")]
        gate: Address,
        /// Its output pin.
        pin: Pin,
    },
}

impl From<&GateInput> for InputView {
    fn from(input: &GateInput) -> Self {
        match input {
            GateInput::Future { gate, pin } => Self::Output {
                gate: *gate,
                pin: Pin(*pin),
            },
            GateInput::Constant(digest) => Self::Data {
                cid: data_cid(*digest),
            },
        }
    }
}

/// What one output pin carries on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Result")]
pub struct ResultView {
    /// The output pin; `"failure"` for the failure record.
    pub pin: Pin,
    /// The token on it.
    #[schemars(with = "schema::Digest")]
    pub token_id: Digest,
    /// The data that the token names.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub cid: Cid,
}

impl ResultView {
    /// The constant with this digest, which is also its token, on a pin.
    pub fn new(pin: u128, digest: Digest) -> Self {
        Self {
            pin: Pin(pin),
            token_id: digest,
            cid: data_cid(digest),
        }
    }
}

/// One member's vote.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Vote")]
pub struct VoteView {
    /// Who voted.
    #[schemars(with = "schema::Address")]
    pub member: Address,
    /// In which epoch.
    pub epoch: u64,
    /// Digest of the result it signed.
    #[schemars(with = "schema::Digest")]
    pub result: Digest,
    /// What that result says.
    pub outputs: Vec<OutputView>,
    /// Whether it is the registered result; `null` until one is registered.
    pub agrees: Option<bool>,
    /// The profile that it ran (WebAssembly engine and configuration).
    pub profile: String,
    /// Units of fuel that the program used.
    pub fuel: u64,
}

/// One output, as voted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Output")]
pub struct OutputView {
    /// The output pin; `"failure"` for the failure record.
    pub pin: Pin,
    /// Its data.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub cid: Cid,
}

/// Milliseconds spent on a gate by the member that is asked; `null` for a step not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Times")]
pub struct GateTimes {
    /// From ready to the own vote.
    pub compute: Option<u64>,
    /// From the own vote to two thirds.
    pub quorum: Option<u64>,
    /// From two thirds to the registration on chain.
    pub register: Option<u64>,
}

impl GateTimes {
    /// How many of the three are known.
    pub fn known(&self) -> usize {
        let all = [self.compute, self.quorum, self.register];
        all.iter().flatten().count()
    }
}

/// `rings_getLog`: a page of a member's log, newest first.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Log")]
pub struct LogPage {
    /// The nodes.
    pub nodes: Vec<LogEntry>,
    /// `from` of the next page; `null` at the end of the log.
    pub next: Option<u64>,
    /// The first node that this member holds itself, if it does not hold the whole log. It fetches those before from other
    /// members when it is asked for them; each is fixed by the links from a node that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_from: Option<u64>,
}

/// One node of a log.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Node")]
pub struct LogEntry {
    /// Its CID.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub cid: Cid,
    /// Its sequence number.
    pub seq: u64,
    /// The node as stored (canonical DAG-CBOR), for those who check its hash and signature.
    pub bytes: HexBytes,
    /// The same node as DAG-JSON, for those who read it.
    pub node: serde_json::Value,
    /// What is sealed in the node, where the ring is private and the call came with the member's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsealed: Option<UnsealedView>,
}

/// What is sealed in a log node.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Unsealed")]
pub struct UnsealedView {
    /// The node as its author signed it (canonical DAG-CBOR); its body is sealed.
    pub node: HexBytes,
    /// The messages in its body (canonical DAG-CBOR).
    pub body: HexBytes,
    /// 32 bytes that open the block's seal, of this node and of no other, to who has no key: for proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<HexBytes>,
}

impl LogEntry {
    /// The node, its signature checked. Of a private ring it is readable if the member has unsealed it.
    ///
    /// # Errors
    /// [`UnsealedError`] when it is no node of the ring, or is sealed.
    pub fn open(&self, domain: &Domain) -> Result<LogNode, UnsealedError> {
        let Some(unsealed) = &self.unsealed else {
            return Unsealed::open_plain(&self.bytes.0, domain);
        };
        let (node, body) = (unsealed.node.0.clone(), unsealed.body.0.clone());
        let opening = self.opening();
        Unsealed {
            node,
            body,
            opening,
        }
        .open(&self.bytes.0, domain)
    }

    /// What opens the node's seal to who has no key, if the member has unsealed it.
    pub fn opening(&self) -> Option<Opening> {
        let opening = self.unsealed.as_ref()?.opening.as_ref()?;
        opening.0.as_slice().try_into().ok().map(Opening)
    }
}

/// Answer to `POST /ipfs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Added {
    /// The file, under the name `ipfs add` gives it.
    #[serde(with = "text")]
    pub cid: Cid,
    /// How many bytes were read.
    pub bytes: u64,
}

/// Answer to `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether the node keeps up with its chain.
    pub following: bool,
    /// Why the node does not do its work: what it waits for to keep up with the chain, or how its block store fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What somebody should look at: members that cannot be reached, ether that ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}
