//! `rings ring private`, `approve` and `disapprove`: who may read the logs of a private ring.
//!
//! It is each operator's own decision, so it stands in the configuration of each member (`[ring] readers`) and on no chain.
//! These commands write it for the members of a ring whose directory is here. A member reads it when it starts.

use super::{
    args::{PrivateArgs, ReaderArgs},
    exit::ExitError,
    out::{count, Out},
    ringdir::RingDir,
    up::members,
};
use rings_member::config::List;
use rings_protocol::Address;
use std::cell::Cell;

/// `rings ring private`
///
/// # Errors
/// Status 2 when there is no ring here, or a configuration cannot be read or written.
pub fn private(args: &PrivateArgs, out: Out) -> Result<(), ExitError> {
    let dir = args.dir.dir();
    let members: Vec<_> = dir
        .read()?
        .members
        .iter()
        .map(|member| member.address)
        .collect();
    change(&dir, out, |readers| {
        members.iter().for_each(|member| add(readers, *member));
    })
}

/// `rings ring approve`
///
/// # Errors
/// As [`private`], and when the ring is not private.
pub fn approve(args: &ReaderArgs, out: Out) -> Result<(), ExitError> {
    change_private(args, out, |readers| add(readers, args.account))
}

/// `rings ring disapprove`
///
/// # Errors
/// As [`approve`], and for the last account that may read the ring, which would be open without it.
pub fn disapprove(args: &ReaderArgs, out: Out) -> Result<(), ExitError> {
    let is_last = Cell::new(false);
    change_private(args, out, |readers| match readers.as_slice() {
        [last] if *last == args.account => is_last.set(true),
        _ => readers.retain(|reader| *reader != args.account),
    })?;
    match is_last.get() {
        true => Err(ExitError::usage(
            "it is the only account that may read this ring, so it stays; approve another one first",
        )),
        false => Ok(()),
    }
}

fn add(readers: &mut Vec<Address>, account: Address) {
    if !readers.contains(&account) {
        readers.push(account);
    }
}

fn change_private(
    args: &ReaderArgs,
    out: Out,
    change_readers: impl Fn(&mut Vec<Address>),
) -> Result<(), ExitError> {
    let dir = args.dir.dir();
    let is_open = Cell::new(false);
    change(&dir, out, |readers| match readers.is_empty() {
        true => is_open.set(true),
        false => change_readers(readers),
    })?;
    match is_open.get() {
        true => Err(ExitError::usage(
            "the ring is not private, so everybody reads it; make it private first with `rings ring private`",
        )),
        false => Ok(()),
    }
}

/// Changes the readers of each member whose configuration is here.
fn change(
    dir: &RingDir,
    out: Out,
    change_readers: impl Fn(&mut Vec<Address>),
) -> Result<(), ExitError> {
    let file = dir.read()?;
    let mut changed = 0;
    for number in 0..file.members.len() {
        let member = dir.member(number);
        if !member.config().exists() {
            continue;
        }
        let is_changed = members::edit(&member, |config| {
            let mut readers = config.ring.readers.take().unwrap_or_default().0;
            change_readers(&mut readers);
            config.ring.readers = (!readers.is_empty()).then_some(List(readers));
        })?;
        changed += usize::from(is_changed);
    }
    match changed {
        0 => out.note("nothing changed"),
        changed => out.note(format_args!(
            "{} changed: they count from the next start, after `rings down` and `rings up`",
            count(changed, "configuration")
        )),
    }
    Ok(())
}
