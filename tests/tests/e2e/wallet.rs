//! The example of a wallet: a person without ether sends tokens, in a browser.

use super::pages::allow;
use ethers_core::{
    abi::{self, Token},
    types::U256,
};
use rings_tests::{browse, build_page, compile, repository, Eth, Page, Program, Ring};
use serde_json::json;
use std::fs;

/// What there is of the token, in its smallest unit.
const SUPPLY: u64 = 1_000_000_000;
/// Who gets some.
const TO: &str = "0x00000000000000000000000000000000c0ffee01";

/// The code that deploys the token.
fn token() -> String {
    let [code] = compile(&repository().join("examples/wallet/Token.sol"), ["Token"]);
    let supply = abi::encode(&[Token::Uint(U256::from(SUPPLY))]);
    code + &hex::encode(supply)
}

#[test]
fn a_person_without_ether_sends_tokens_from_a_browser() {
    let replicas = Ring::up(4);
    let eth = Eth::at(replicas.json().text("/rpcUrl"));
    // An account of the chain that has nothing to do with the ring.
    let accounts = eth.call("eth_accounts", &json!([]));
    let rich = accounts.as_array().unwrap().last().cloned();
    let rich = rich.expect("the chain has no accounts of its own");
    let deploy = json!([{ "from": rich, "data": token() }]);
    let deployed = eth.receipt(&eth.call("eth_sendTransaction", &deploy));
    let path = replicas.file("wallet.html");
    build_page(&path, "examples/wallet");
    let page = Page::serve(fs::read(&path).unwrap());
    allow(&replicas, &page.origin());
    let json = replicas.json();
    let said = browse(
        "wallet.mjs",
        &json!({
            "page": page.origin(),
            "rpc": json.text("/rpcUrl"),
            "replicas": json.rpc_urls(),
            "rings": Program::Honest.path(),
            "dir": replicas.dir(),
            "token": deployed["contractAddress"],
            "fund": rich,
            "to": TO,
        }),
    );
    assert_eq!(said, "the wallet is as it should be\n");
}
