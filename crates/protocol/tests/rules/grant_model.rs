//! Random lives of one grant. The row is changed as the store changes it; beside it stands a model
//! that knows nothing of windows and counters, but only what a client and a thief may see happen.

use grantor_protocol::client::Client;
use grantor_protocol::grant::{
    Active, Binding, CodeFault, Exchange, Grant, GrantStatus, Refresh, RefreshDecision,
    RefreshFault, check_exchange, check_refresh, refresh_window_seconds,
};
use grantor_protocol::pkce::{CodeChallenge, CodeVerifier};
use grantor_protocol::redirect_uri::RedirectUriDigest;
use grantor_protocol::scope::Scope;
use proptest::prelude::*;

use crate::fixtures::{REDIRECT_URI, client, public_client};

const IDLE_SECONDS: i64 = 500;
const START: i64 = 1_800_000_000;

#[derive(Clone, Debug)]
enum Act {
    /// The clock moves, mostly on.
    Wait(i64),
    /// The code comes (again), with the right verifier or with another.
    Exchange { proved: bool },
    /// The refresh token comes that is so many generations old.
    Refresh { behind: i64 },
    /// A token of this grant comes from another client.
    Steal { behind: i64 },
    /// Somebody takes the consent back.
    Withdraw,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (-3_i64..30).prop_map(Act::Wait),
        1 => (-100_i64..600).prop_map(Act::Wait),
        3 => any::<bool>().prop_map(|proved| Act::Exchange { proved }),
        8 => prop_oneof![5 => Just(0_i64), 3 => Just(1), 1 => 2_i64..5]
            .prop_map(|behind| Act::Refresh { behind }),
        1 => (0_i64..3).prop_map(|behind| Act::Steal { behind }),
        1 => Just(Act::Withdraw),
    ]
}

struct Life {
    client: Client,
    grant: Grant,
    now: i64,
    /// What was seen: when each generation was first handed out, the first at the exchange.
    born: Vec<i64>,
    /// The generations in which a repeat was given.
    repeated: Vec<i64>,
}

impl Life {
    fn begin(client: Client, ends_at: Option<i64>) -> Life {
        let of_appendix_b = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let grant = Grant {
            id: [1; 16],
            client_id: client.id.clone(),
            customer_id: [2; 16],
            scope: Scope::default(),
            businesses: vec![],
            redirect_uri: RedirectUriDigest::of(REDIRECT_URI),
            code_challenge: CodeChallenge::parse(Some(of_appendix_b), Some("S256")).unwrap(),
            code_expires_at: START + 60,
            ends_at,
            binding: Binding::default(),
            openid: None,
            status: GrantStatus::Pending,
            in_force: true,
        };
        Life { client, grant, now: START, born: vec![], repeated: vec![] }
    }

    fn generation(&self) -> i64 {
        i64::try_from(self.born.len()).unwrap()
    }

    fn lives(&self) -> bool {
        self.grant.in_force && matches!(self.grant.status, GrantStatus::Active(_))
    }

    fn revoke(&mut self) {
        self.grant.status = GrantStatus::Revoked { at: self.now };
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Wait(seconds) => self.now += seconds,
            Act::Exchange { proved } => self.exchange(*proved),
            Act::Refresh { behind } => self.refresh((self.generation() - behind).max(1)),
            Act::Steal { behind } => self.steal((self.generation() - behind).max(1)),
            Act::Withdraw => self.grant.in_force = false,
        }
    }

    fn exchange(&mut self, proved: bool) {
        let verifier = if proved {
            CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap()
        } else {
            CodeVerifier::parse(&"x".repeat(43)).unwrap()
        };
        let exchange = Exchange {
            client: &self.client,
            redirect_uri: REDIRECT_URI,
            code_verifier: Some(&verifier),
            key: None,
        };
        match check_exchange(Some(&self.grant), &exchange, self.now) {
            Ok(()) => {
                assert!(proved, "redeemed without its verifier");
                assert!(self.born.is_empty(), "one code was redeemed twice");
                assert!(self.grant.in_force && self.now < START + 60);
                self.born.push(self.now);
                self.grant.status = GrantStatus::Active(Active {
                    generation: 1,
                    redeemed_at: self.now,
                    turned_at: self.now,
                    idle_expires_at: self.now + IDLE_SECONDS,
                    repeated: false,
                    repeats_running: 0,
                });
            }
            Err(refused) if refused.revoke => {
                assert!(proved && self.lives(), "revoked by who proved nothing");
                assert!(self.now > self.born[0] + 10 && self.now < START + 60);
                assert!(matches!(refused.fault, CodeFault::Used { .. }));
                self.revoke();
            }
            Err(refused) => assert!(proved || refused.fault == CodeFault::VerifierWrong),
        }
    }

    fn refresh(&mut self, presented: i64) {
        let window = refresh_window_seconds(&self.client, false, 60);
        let refresh =
            Refresh { client: &self.client, generation: presented, key: None, window_seconds: 60 };
        let newest = self.generation();
        match check_refresh(Some(&self.grant), &refresh, self.now) {
            RefreshDecision::Turn => {
                assert_eq!(presented, newest, "one generation was turned twice");
                self.assert_may_succeed();
                self.turn();
            }
            RefreshDecision::Repeat => {
                assert_eq!(presented, newest - 1, "a repeat of what is not the parent");
                self.assert_may_succeed();
                let age = self.now - self.born[self.born.len() - 1];
                assert!((-2..window).contains(&age), "a repeat at the age of {age}");
                self.repeat();
            }
            RefreshDecision::Refuse { fault, revoke, alarm } => {
                // A row that never goes back in time alarms nobody, except for a refresh token
                // that this model invents before there is one.
                assert!(!alarm || self.born.is_empty());
                assert!(!revoke || (self.lives() && presented < newest));
                assert_eq!(revoke, matches!(fault, RefreshFault::Reused { .. }));
                if revoke {
                    self.revoke();
                }
            }
        }
    }

    fn steal(&self, presented: i64) {
        let thief = Client { id: "another".into(), ..client() };
        let refresh =
            Refresh { client: &thief, generation: presented, key: None, window_seconds: 60 };
        let decision = check_refresh(Some(&self.grant), &refresh, self.now);
        let fault = RefreshFault::OtherClient;
        assert_eq!(decision, RefreshDecision::Refuse { fault, revoke: false, alarm: false });
    }

    fn assert_may_succeed(&self) {
        assert!(self.lives(), "a grant that ended gave a token");
        assert!(self.grant.ends_at.is_none_or(|end| self.now < end), "past its end");
        assert!(self.now < self.born[self.born.len() - 1] + IDLE_SECONDS, "idle too long");
    }

    fn turn(&mut self) {
        self.born.push(self.now);
        if let GrantStatus::Active(active) = &mut self.grant.status {
            active.generation += 1;
            active.turned_at = self.now;
            active.idle_expires_at = self.now + IDLE_SECONDS;
            active.repeats_running = if active.repeated { active.repeats_running } else { 0 };
            active.repeated = false;
        }
    }

    fn repeat(&mut self) {
        let newest = self.generation();
        if self.repeated.last() != Some(&newest) {
            self.repeated.push(newest);
        }
        let three_running = (0..3).all(|back| self.repeated.contains(&(newest - back)));
        assert!(!(self.client.is_public() && three_running), "a double went unseen");
        if let GrantStatus::Active(active) = &mut self.grant.status
            && !active.repeated
        {
            active.repeated = true;
            active.repeats_running += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn s15_s11_d10_no_generation_is_won_twice_and_nothing_ended_comes_back(
        acts in prop::collection::vec(act(), 1..60),
        public in any::<bool>(),
        ends_after in prop::option::of(0_i64..400),
    ) {
        let client = if public { public_client() } else { client() };
        let mut life = Life::begin(client, ends_after.map(|seconds| START + seconds));
        // Without this most random lives would end before they began.
        life.act(&Act::Exchange { proved: true });
        for act in &acts {
            let ended = !life.born.is_empty() && !life.lives();
            let generations = life.generation();
            life.act(act);
            prop_assert!(!ended || (!life.lives() && life.generation() == generations));
        }
    }

    #[test]
    fn d11_an_honest_client_that_retries_each_lost_answer_at_once_is_never_revoked(
        lost in prop::collection::vec(prop::collection::vec(0_i64..15, 0..4), 1..40),
    ) {
        let mut life = Life::begin(client(), None);
        life.act(&Act::Exchange { proved: true });
        for waits in lost {
            let token = life.generation();
            life.refresh(token);
            for wait in waits {
                life.now += wait;
                life.refresh(token);
            }
            prop_assert!(life.lives());
            prop_assert_eq!(life.generation(), token + 1);
            life.now += 100;
        }
    }
}
