//! Trials: hard cases that a partner makes happen on purpose, to see that its app takes them. Only
//! staging has them ([`crate::environment::Staging`]).

use crate::integration_report::Fact;

/// How long an armed trial waits for its call, in seconds.
pub const ARMED_SECONDS: i64 = 600;

/// A hard case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trial {
    /// the next tokens are made, and their answer is cut off
    LoseResponse,
    /// the next authorization request is denied, once somebody is signed in
    DenyConsent,
    /// the newest access token counts as expired
    ExpireToken,
    /// a connection ends
    EndGrant,
}

impl Trial {
    /// All of them.
    pub const ALL: [Trial; 4] =
        [Trial::LoseResponse, Trial::DenyConsent, Trial::ExpireToken, Trial::EndGrant];

    /// Its name, as it is stored and asked for.
    pub fn as_str(self) -> &'static str {
        match self {
            Trial::LoseResponse => "lose_response",
            Trial::DenyConsent => "deny_consent",
            Trial::ExpireToken => "expire_token",
            Trial::EndGrant => "end_grant",
        }
    }

    /// The trial of that name.
    pub fn parse(name: &str) -> Option<Trial> {
        Trial::ALL.into_iter().find(|trial| trial.as_str() == name)
    }

    /// What it leaves in the integration report; a denial is one by itself.
    pub fn fact(self) -> Option<Fact> {
        match self {
            Trial::LoseResponse => Some(Fact::AnswerLost),
            Trial::DenyConsent => None,
            Trial::ExpireToken => Some(Fact::TokenExpired),
            Trial::EndGrant => Some(Fact::GrantEnded),
        }
    }
}
