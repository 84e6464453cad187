//! `rings chat`: people talk in a ring, each from a terminal, with no server but the members that keep the ring's logs.
//!
//! A [`ChatSession`] is the conversation: it says lines into the avatar's own log, has them held by members, and looks for what
//! others have said. What happens is an [`ChatEvent`]; a [`ChatView`] shows it. `watch.rs` has members
//! tell when a log grows; `session/keys.rs` sees to the ring's key, `session/members.rs` to who is in it. `limits.rs` refuses what is too long. `lines.rs` writes a line for each, for pipes and scripts;
//! `screen.rs` draws a terminal. What is typed is read by `typed.rs`. The format of messages is that of `rings_client::Said`.

mod event;
mod limits;
mod lines;
mod live;
mod screen;
mod session;
mod typed;
mod watch;

use super::place::Avatar;
use crate::{args::ChatArgs, exit::ExitError, out::Out, signals::Signals};
use event::{ChatEvent, ChatView};
use lines::Lines;
use live::Live;
use screen::Screen;
use session::ChatSession;
use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    time::{interval, MissedTickBehavior},
};
use typed::{ChatCommand, Typed};

/// How often it is seen to what is due, and looked for what others have said while no member tells of it.
const LOOK: Duration = Duration::from_millis(100);
/// Lines that were typed and not said yet.
const TYPED: usize = 64;
/// How long it is waited at the end until a member holds what was said.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// `rings chat`
///
/// # Errors
/// Status 2 when the key or the line cannot be used, 5 when neither chain nor member can be asked at the start.
pub async fn chat(args: ChatArgs, out: Out) -> Result<(), ExitError> {
    if let Some(why) = args.name.as_deref().and_then(limits::refuse_name) {
        return Err(ExitError::usage(format!("--name: {why}")));
    }
    let mut signals = Signals::new()?;
    let avatar = Avatar::open(&args.avatar).await?;
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut session = ChatSession::open(avatar, (args.flush_after, args.flush_each)).await?;
    let (sender, typed) = mpsc::channel(TYPED);
    let view: Box<dyn ChatView> = match is_terminal && !args.lines && !args.avatar.json {
        true => Box::new(Screen::new(sender)),
        false => {
            typed::read_lines(sender);
            Box::new(Lines::new(out, args.avatar.json))
        }
    };
    let mut live = Live::new(view, typed);
    let talking = talk(&mut session, &mut live, args.name.as_deref());
    let ended = tokio::select! {
        ended = talking => ended,
        () = signals.next() => Ok(()),
    };
    live.close();
    ended
}

/// Until there is nothing more to type.
async fn talk(
    session: &mut ChatSession,
    live: &mut Live,
    name: Option<&str>,
) -> Result<(), ExitError> {
    session.look(live).await?;
    if let Some(name) = name {
        session.call_myself(name, live).await?;
    }
    let mut watch = session.watch();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut end: Option<Instant> = None;
    loop {
        if end.is_some_and(|end| session.is_held() || Instant::now() >= end) {
            return Ok(());
        }
        tokio::select! {
            typed = live.typed.recv(), if end.is_none() => match typed {
                Some(Typed::Line(line)) => match ChatCommand::read(&line) {
                    ChatCommand::Quit => end = Some(Instant::now() + LAST_WORDS),
                    command => obey(session, live, command).await?,
                },
                Some(Typed::Draft(draft)) => live.show(&ChatEvent::Draft(draft)),
                None => end = Some(Instant::now() + LAST_WORDS),
            },
            told = watch.next() => session.hear(told, live).await?,
            _ = looks.tick() => session.tick(watch.is_live(), live).await?,
        }
    }
}

async fn obey(
    session: &mut ChatSession,
    live: &mut Live,
    command: ChatCommand,
) -> Result<(), ExitError> {
    match command {
        ChatCommand::Say(text) => session.say(&text, live).await,
        ChatCommand::Name(name) => session.call_myself(&name, live).await,
        ChatCommand::Wish(wish) => session.wish(wish, live).await,
        ChatCommand::Approve(change) => session.approve(&change, live).await,
        ChatCommand::Call(name, avatar) => session.call(avatar, &name, live),
        ChatCommand::Who => {
            session.tell_who(live);
            Ok(())
        }
        ChatCommand::Flush => session.flush(live).await,
        ChatCommand::Help(text) => {
            live.note(text);
            Ok(())
        }
        ChatCommand::Quit | ChatCommand::Nothing => Ok(()),
    }
}
