//! Questions to an exchange that is a list of answers, with a clock that is a number.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::exchange_record::ComeBack;
use crate::domain::time::Timestamp;
use crate::failure::Kind;
use crate::pace::Pace;

const POLICY: Policy =
    Policy { attempts_max: 4, base: Duration::from_millis(500), cap: Duration::from_millis(1_500) };

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// This long after the start of a pass of ten seconds.
fn at(elapsed: Duration) -> Moment {
    Moment {
        elapsed,
        now: Timestamp::from_seconds(1_000).after(elapsed),
        left: ms(10_000).saturating_sub(elapsed),
        is_stopped: false,
    }
}

fn failure(word: &str) -> Failure {
    let (kind, status) = match word {
        "429" => (Kind::ExchangeUnavailable, Some(429)),
        "503" => (Kind::ExchangeUnavailable, Some(503)),
        "403" => (Kind::ExchangeForbids, Some(403)),
        "404" => (Kind::ExchangeRefused, Some(404)),
        _ => (Kind::ExchangeUnavailable, None),
    };
    let failure = Failure::new(kind, word);
    match status {
        Some(status) => failure.with_status(status),
        None => failure,
    }
}

/// An exchange that answers by a script, each answer after its time.
struct Play {
    manners: Manners,
    jitter: Jitter,
    elapsed: Duration,
    is_stopped: bool,
    said: Vec<String>,
}

impl Play {
    fn new() -> Play {
        Play {
            manners: Manners::new(Pace::new(100.0)),
            jitter: Jitter::seeded(7),
            elapsed: ms(0),
            is_stopped: false,
            said: Vec::new(),
        }
    }

    fn moment(&self) -> Moment {
        let moment = at(self.elapsed);
        let left = if self.is_stopped { Duration::ZERO } else { moment.left };
        Moment { left, is_stopped: self.is_stopped, ..moment }
    }

    /// Asks until the question is over. Each answer is `OK`, a status or `silence`, after so many milliseconds.
    /// `WORD+S` asks to come back after so many seconds.
    fn ask(&mut self, mut question: Question, script: &str) -> String {
        let mut answers = script.split_whitespace();
        let mut story = Vec::new();
        loop {
            let moment = self.moment();
            match question.next(&mut self.manners, moment) {
                Ask::Wait(wait) => {
                    story.push(format!("wait {}", wait.as_millis()));
                    self.elapsed += wait;
                }
                Ask::GiveUp(None) => story.push("left".to_owned()),
                Ask::GiveUp(Some(failure)) => story.push(format!("failed {failure}")),
                Ask::Send(_) => {
                    let word = answers.next().expect("one question too many");
                    let (word, took) = word.split_once('@').unwrap_or((word, "0"));
                    self.elapsed += ms(took.parse().unwrap());
                    let (word, wait) = word.split_once('+').unwrap_or((word, ""));
                    story.push(word.to_owned());
                    if word == "OK" {
                        question.answered(&mut self.manners);
                        break;
                    }
                    let wait = wait.parse().ok().map(Duration::from_secs);
                    self.is_stopped |= word == "signal";
                    let moment = self.moment();
                    let failure = failure(word).with_retry_after(wait);
                    let (manners, jitter) = (&mut self.manners, &mut self.jitter);
                    let notice = question.failed(failure, manners, jitter, moment);
                    self.said.extend(notice.map(|notice| notice.to_string()));
                    continue;
                }
            }
            if !story.last().is_some_and(|last| last.starts_with("wait")) {
                break;
            }
        }
        assert_eq!(answers.next(), None, "an answer that nobody waited for: {story:?}");
        // The length of the jitter is not tested here.
        let words = story.iter().map(|word| if word.starts_with("wait") { "wait" } else { word });
        words.collect::<Vec<_>>().join(", ")
    }
}

#[test]
fn a_question_is_asked_again_as_long_as_that_can_help() {
    for (script, expected, stop, why) in [
        ("OK", "OK", None, "answered"),
        ("503 OK", "503, wait, OK", None, "again after a while"),
        ("503 503 503 503", "503, wait, 503, wait, 503, wait, 503, failed 503", None, "bounded"),
        ("404", "404, failed 404", None, "a refusal stays one"),
        ("403", "403, failed 403", Some(Stop::Forbidden), "and this one is everybody's"),
        ("429+3 OK", "429, wait, OK", None, "it waits as it was told"),
        ("503+9 OK@900", "503, wait, OK", None, "as long as that is within its time"),
        ("silence@9900 OK", "silence, wait, OK", None, "there is time for another"),
        ("silence@10000", "silence, failed silence", Some(Stop::OutOfTime), "none is left"),
        (
            "503@9500 silence@500",
            "503, wait, silence, failed 503",
            Some(Stop::OutOfTime),
            "cut off by us",
        ),
        ("signal", "signal, left", Some(Stop::Signal), "cut off by a signal"),
    ] {
        let mut play = Play::new();
        // A jitter of zero would not wait.
        play.jitter = Jitter::seeded(3);
        assert_eq!(play.ask(Question::new(POLICY), script), expected, "{script}: {why}");
        assert_eq!(play.manners.stopped(play.moment()), stop, "{script}: {why}");
    }
}

#[test]
fn who_is_sent_away_for_long_leaves_and_so_do_all_others() {
    let mut play = Play::new();
    assert_eq!(play.ask(Question::new(POLICY), "429+120"), "429, left");
    assert!(play.said[0].ends_with("leaving the exchange alone until 1970-01-01T00:18:40Z"));
    let until = Timestamp::from_seconds(1_120);
    assert_eq!(play.manners.stopped(play.moment()), Some(Stop::ComeBackLater(until)));
    assert_eq!(play.ask(Question::new(POLICY), ""), "left", "nobody asks any more");
    assert_eq!(play.ask(Question::aside(), ""), "left", "nor for what is not needed");
    assert_eq!(play.said.len(), 1, "said once");
    assert_eq!(play.manners.come_back().at, Some(until), "and kept for the next pass");
}

#[test]
fn what_one_was_told_holds_for_all_and_is_counted() {
    let mut play = Play::new();
    assert_eq!(play.ask(Question::new(POLICY), "429+3 OK"), "429, wait, OK");
    assert_eq!(play.manners.retries().total(), 1);
    assert!(play.elapsed >= ms(3_000), "not before: {:?}", play.elapsed);
    assert!(play.said[0].contains("trying again in 3.0 s (attempt 1 of 4)"), "{:?}", play.said);
    let mut other = Question::new(POLICY);
    play.elapsed = ms(100);
    let moment = play.moment();
    let Ask::Wait(wait) = other.next(&mut play.manners, moment) else { panic!() };
    assert!(wait >= ms(2_900), "held as well: {wait:?}");
}

/// A pass that begins while the exchange wants no requests, but may send one.
fn probing() -> Play {
    let mut play = Play::new();
    let hour = ComeBack::told(Duration::from_secs(3_600), Timestamp::from_seconds(1_000 - 700));
    assert_eq!(play.manners.heed(hour, play.moment()), None);
    play
}

#[test]
fn one_probe_decides_for_all() {
    let mut play = probing();
    let (mut first, mut second) = (Question::new(POLICY), Question::new(POLICY));
    let now = play.moment();
    assert!(matches!(first.next(&mut play.manners, now), Ask::Send(_)));
    assert!(matches!(second.next(&mut play.manners, now), Ask::Wait(_)), "it is not its turn");
    let mut aside = Question::aside();
    assert!(matches!(aside.next(&mut play.manners, now), Ask::GiveUp(None)), "nor worth it");
    first.answered(&mut play.manners);
    assert!(matches!(second.next(&mut play.manners, now), Ask::Send(_)), "the ban is lifted");
    assert_eq!(play.manners.come_back(), ComeBack::default());

    let mut play = probing();
    assert_eq!(play.ask(Question::new(POLICY), "503"), "503, left", "not even once more");
    assert!(matches!(play.manners.stopped(now), Some(Stop::ComeBackLater(_))));

    let mut play = probing();
    assert_eq!(play.ask(Question::new(POLICY), "404"), "404, failed 404");
    assert_eq!(play.manners.come_back(), ComeBack::default(), "a refusal is an answer");

    let mut play = probing();
    let mut lost = Question::new(POLICY);
    assert!(matches!(lost.next(&mut play.manners, now), Ask::Send(_)));
    lost.abandon(&mut play.manners);
    assert_eq!(play.ask(Question::new(POLICY), "OK"), "OK", "the next one is the probe");
}

#[test]
fn what_is_refused_apart_is_refused_to_this_question_alone() {
    let mut play = Play::new();
    assert_eq!(play.ask(Question::apart(POLICY), "403"), "403, failed 403");
    assert_eq!(play.manners.stopped(play.moment()), None, "others may be answered");
    let asked = play.ask(Question::apart(POLICY), "503 503 OK");
    assert!(asked.starts_with("503") && asked.ends_with("OK"), "{asked}: it is asked for again");
    let mut play = probing();
    assert_eq!(play.ask(Question::apart(POLICY), "404"), "404, failed 404");
    assert_eq!(play.manners.come_back(), ComeBack::default(), "a refusal is an answer");
}

#[test]
fn what_is_not_needed_is_asked_once_and_teaches_nothing() {
    let mut play = Play::new();
    assert_eq!(play.ask(Question::aside(), "403"), "403, failed 403");
    assert_eq!(play.manners.stopped(play.moment()), None, "others may be answered");
    assert_eq!(play.ask(Question::aside(), "OK"), "OK");
    assert_eq!(play.ask(Question::new(POLICY), "403"), "403, failed 403");
    assert_eq!(play.ask(Question::aside(), ""), "left", "but nobody asks who may not");
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Good,
    Bad(&'static str, Option<u64>),
}

fn answer() -> impl Strategy<Value = Answer> {
    let word = prop::sample::select(vec!["429", "503", "403", "404", "silence"]);
    prop_oneof![
        3 => Just(Answer::Good),
        2 => (word, prop::option::of(0..90_u64)).prop_map(|(word, wait)| Answer::Bad(word, wait)),
    ]
}

proptest! {
    /// Many questions at once, with their steps at any time, and an exchange with any answers. No request is sent
    /// after the end, no question is sent more often than allowed, the probe goes alone, the pace is kept, and every
    /// question ends.
    #[test]
    fn no_mood_of_the_exchange_makes_a_rude_client(
        answers in vec(answer(), 1..80),
        steps in vec((0..5_usize, 0..400_u64), 60..400),
        is_probing in any::<bool>(),
    ) {
        let mut manners = Manners::new(Pace::new(8.0));
        let mut jitter = Jitter::seeded(1);
        if is_probing {
            let told = Timestamp::from_seconds(1_000 - 700);
            manners.heed(ComeBack::told(Duration::from_secs(3_600), told), at(ms(0)));
        }
        let mut questions: Vec<(Question, u32, bool)> =
            (0..5).map(|_| (Question::new(POLICY), 0, false)).collect();
        let mut answers = answers.into_iter();
        let (mut elapsed, mut sends, mut was_probing) = (ms(0), Vec::new(), is_probing);
        for (which, took) in steps {
            elapsed += ms(took);
            let moment = at(elapsed);
            let stopped = manners.stopped(moment);
            let others_in_flight = questions.iter().filter(|(_, _, is_sent)| *is_sent).count();
            let (question, attempts, is_sent) = &mut questions[which];
            if *is_sent {
                *is_sent = false;
                match answers.next().unwrap_or(Answer::Good) {
                    Answer::Good => question.answered(&mut manners),
                    Answer::Bad(word, wait) => {
                        let failure = failure(word).with_retry_after(wait.map(Duration::from_secs));
                        let _ = question.failed(failure, &mut manners, &mut jitter, moment);
                    }
                }
                was_probing &= manners.is_probing();
            } else if let Ask::Send(left) = question.next(&mut manners, moment) {
                *is_sent = true;
                *attempts += 1;
                prop_assert_eq!(stopped, None, "sent after the end");
                prop_assert!(*attempts <= POLICY.attempts_max);
                prop_assert!(left <= moment.left);
                prop_assert!(!was_probing || others_in_flight == 0, "the probe is not alone");
                sends.push(elapsed);
            }
        }
        // The requests of half a second may go at once, and then eight a second.
        for (before, at) in sends.iter().enumerate() {
            let allowed = 5.0 + 8.0 * at.as_secs_f64();
            prop_assert!(f64::from(u32::try_from(before).unwrap()) < allowed, "too fast: {sends:?}");
        }
        for (question, _, is_sent) in &mut questions {
            if *is_sent {
                question.answered(&mut manners);
            }
            let ended = question.next(&mut manners, at(ms(11_000)));
            prop_assert!(matches!(ended, Ask::GiveUp(_)), "{:?}", ended);
        }
    }
}
