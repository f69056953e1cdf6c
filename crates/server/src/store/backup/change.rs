//! What a restore changes in the tables of a backup, whatever the engine: the epoch rises, what the
//! journal says ended ends again, and secrets and passwords are voided where somebody asked for it.

use grantor_protocol::environment::Environment;

use crate::journal::Ending;
use crate::store::StoredSealingKey;
use crate::store::engine::Value;

/// What a restore does to the tables.
#[derive(Debug)]
pub struct Restoring<'a> {
    /// The epoch that begins.
    pub epoch: i64,
    /// What ended since the backup, as far as is known.
    pub endings: &'a [Ending],
    /// Whether all connections end.
    pub end_all_connections: bool,
    /// Which clients lose their secrets.
    pub void_secrets: Voided,
    /// Which customers lose their passwords.
    pub void_passwords: Voided,
    /// Whether clients are switched off from which redirect URIs or scopes were taken since.
    pub disable_narrowed: bool,
    /// A password hash that no password has.
    pub unusable_hash: &'a str,
    /// A key of each environment that seals from now on. What the copy's own seal is known to
    /// whoever had the copy's keys.
    pub fresh_keys: &'a [StoredSealingKey],
    /// In Unix seconds.
    pub now: i64,
}

/// Whose secrets or passwords stop working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voided {
    /// nobody's
    Nobody,
    /// of those whose was changed since the backup
    Changed,
    /// everybody's, because it is not known whose was changed
    Everybody,
}

/// What a restore did, in numbers of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// connections that had been ended since the backup, one by one, and ended again
    pub connections_ended_again: u64,
    /// consents and all their connections that ended again
    pub consents_ended_again: u64,
    /// clients whose connections ended again
    pub clients_ended_again: u64,
    /// customers whose sessions and connections ended again
    pub customers_ended_again: u64,
    /// clients without a secret, whose connections end because a spent token could be used again
    pub public_clients_ended: u64,
    /// clients whose connections ended because all were to end
    pub all_clients_ended: u64,
    /// sealing keys that had been revoked since the backup, and are removed again
    pub sealing_keys_removed_again: u64,
    /// signing keys that had been revoked since the backup, and are removed again
    pub signing_keys_removed_again: u64,
    /// clients that have no secret any more
    pub secrets_voided: u64,
    /// customers whose password works no more
    pub passwords_voided: u64,
    /// people whose second factor, and password with it, had been taken away since, and is again
    pub factors_ended_again: u64,
    /// people whose recovery codes are void, because one of them had been used since
    pub recovery_codes_voided: u64,
    /// webhook endpoints that had been changed or removed since, and are switched off
    pub webhooks_switched_off: u64,
    /// clients that were narrowed since, and are switched off
    pub narrowed_clients_disabled: u64,
}

/// One statement. Its parameters come first in the order of their numbers, so that an engine may
/// take them by number or by place.
pub(super) struct Change {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
    /// Where its rows are counted.
    pub(super) count: Option<fn(&mut Restored) -> &mut u64>,
}

const VOID_SECRETS: &str = "UPDATE clients SET \
    secret_1_digest = NULL, secret_1_hint = NULL, secret_1_created_at = NULL, \
    secret_1_used_at = NULL, secret_1_expires_at = NULL, secret_1_told_at = NULL, \
    secret_2_digest = NULL, secret_2_hint = NULL, secret_2_created_at = NULL, \
    secret_2_used_at = NULL, secret_2_expires_at = NULL, secret_2_told_at = NULL \
    WHERE (secret_1_digest IS NOT NULL OR secret_2_digest IS NOT NULL)";
const VOID_SECRETS_OF: &str = "UPDATE clients SET \
    secret_1_digest = NULL, secret_1_hint = NULL, secret_1_created_at = NULL, \
    secret_1_used_at = NULL, secret_1_expires_at = NULL, secret_1_told_at = NULL, \
    secret_2_digest = NULL, secret_2_hint = NULL, secret_2_created_at = NULL, \
    secret_2_used_at = NULL, secret_2_expires_at = NULL, secret_2_told_at = NULL \
    WHERE (secret_1_digest IS NOT NULL OR secret_2_digest IS NOT NULL) \
    AND environment = $1 AND id = $2";

/// A partner that is switched off makes no new clients either.
fn suspend_again(ending: &Ending) -> Option<Change> {
    let Ending::PartnerDisabled { id } = ending else {
        return None;
    };
    let sql = "UPDATE partners SET suspended = TRUE WHERE id = $1";
    Some(Change { sql, values: vec![id.into()], count: None })
}

impl Restoring<'_> {
    /// All of it, in order.
    pub(super) fn changes(&self) -> Vec<Change> {
        let mut changes = vec![
            Change {
                sql: "UPDATE installation SET epoch = $1 WHERE id = 1",
                values: vec![self.epoch.into()],
                count: None,
            },
            // Their epoch ended them already.
            Change { sql: "DELETE FROM sessions", values: vec![], count: None },
            self.end_connections(),
        ];
        changes.extend(self.fresh_keys.iter().map(|key| Change {
            sql: "INSERT INTO sealing_keys (environment, id, encrypted, created_at, seals_from) \
                  VALUES ($1, $2, $3, $4, $5)",
            values: vec![
                key.environment.as_str().into(),
                i64::from(key.id).into(),
                key.encrypted.as_slice().into(),
                key.created_at.into(),
                key.seals_from.into(),
            ],
            count: None,
        }));
        changes.extend(self.endings.iter().filter_map(|ending| self.end_again(ending)));
        changes.extend(self.endings.iter().filter_map(suspend_again));
        changes.extend(self.endings.iter().flat_map(|ending| self.take_away_again(ending)));
        if self.void_secrets == Voided::Everybody {
            let count: fn(&mut Restored) -> &mut u64 = |done| &mut done.secrets_voided;
            changes.push(Change { sql: VOID_SECRETS, values: vec![], count: Some(count) });
        }
        if self.void_passwords == Voided::Everybody {
            changes.push(Change {
                sql: "UPDATE customers SET password_hash = $1 WHERE password_hash <> $1",
                values: vec![self.unusable_hash.into()],
                count: Some(|done| &mut done.passwords_voided),
            });
        }
        changes.extend(self.endings.iter().filter_map(|ending| self.void(ending)));
        changes
    }

    /// A row that went back takes a refresh token for the newest that was spent long ago. A
    /// confidential client proves itself beside it, so nobody else can use it. A client without a
    /// secret proves nothing: whoever kept an old token of it would get in, so its connections end.
    fn end_connections(&self) -> Change {
        if self.end_all_connections {
            Change {
                sql: "UPDATE clients SET counter = counter + 1",
                values: vec![],
                count: Some(|done| &mut done.all_clients_ended),
            }
        } else {
            Change {
                sql: "UPDATE clients SET counter = counter + 1 WHERE public",
                values: vec![],
                count: Some(|done| &mut done.public_clients_ended),
            }
        }
    }

    /// Ends once more what had ended. What was switched off is off, even where somebody had switched
    /// it on again since: that is for a person to decide.
    fn end_again(&self, ending: &Ending) -> Option<Change> {
        let clients: fn(&mut Restored) -> &mut u64 = |done| &mut done.clients_ended_again;
        let customers: fn(&mut Restored) -> &mut u64 = |done| &mut done.customers_ended_again;
        let sealing_keys: fn(&mut Restored) -> &mut u64 =
            |done| &mut done.sealing_keys_removed_again;
        let signing_keys: fn(&mut Restored) -> &mut u64 =
            |done| &mut done.signing_keys_removed_again;
        let (sql, values, count) = match ending {
            Ending::Grant { environment, id } => (
                "UPDATE grants SET revoked_at = $1 \
                 WHERE environment = $2 AND id = $3 AND revoked_at IS NULL",
                vec![self.now.into(), environment.as_str().into(), id.into()],
                (|done| &mut done.connections_ended_again) as fn(&mut Restored) -> &mut u64,
            ),
            Ending::Consent { environment, customer_id, client_id } => (
                "UPDATE consents SET revoked = TRUE, counter = counter + 1 \
                 WHERE environment = $1 AND customer_id = $2 AND client_key = \
                 (SELECT key FROM clients WHERE environment = $1 AND id = $3)",
                vec![environment.as_str().into(), customer_id.into(), client_id.as_str().into()],
                (|done| &mut done.consents_ended_again) as fn(&mut Restored) -> &mut u64,
            ),
            Ending::Client { environment, id } => (
                "UPDATE clients SET counter = counter + 1 WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), id.as_str().into()],
                clients,
            ),
            Ending::ClientDisabled { environment, id } => (
                "UPDATE clients SET disabled = TRUE, counter = counter + 1 \
                 WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), id.as_str().into()],
                clients,
            ),
            Ending::PartnerDisabled { id } => (
                "UPDATE clients SET disabled = TRUE, suspended = TRUE, counter = counter + 1 \
                 WHERE partner_id = $1",
                vec![id.into()],
                clients,
            ),
            Ending::Customer { environment, id } | Ending::PasswordChanged { environment, id } => (
                "UPDATE customers SET counter = counter + 1 WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), id.into()],
                customers,
            ),
            Ending::CustomerDisabled { environment, id } => (
                "UPDATE customers SET disabled = TRUE, counter = counter + 1 \
                 WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), id.into()],
                customers,
            ),
            Ending::SealingKey { environment, id } => (
                "DELETE FROM sealing_keys WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), i64::from(*id).into()],
                sealing_keys,
            ),
            Ending::SigningKey { environment, id } => (
                "DELETE FROM signing_keys WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), id.as_str().into()],
                signing_keys,
            ),
            // What it had then may be more than its customers allow it now.
            Ending::ClientNarrowed { environment, client_id } => (
                "UPDATE clients SET counter = counter + 1 WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), client_id.as_str().into()],
                clients,
            ),
            // They ended nothing but themselves, and sessions that no restore brings back.
            Ending::SecretChanged { .. }
            | Ending::OwnPasswordChanged { .. }
            | Ending::FactorEnded { .. }
            | Ending::RecoveryCodeUsed { .. }
            | Ending::WebhookChanged { .. } => return None,
        };
        Some(Change { sql, values, count: Some(count) })
    }

    /// Takes away once more what had been taken away and would work again: whoever has a factor that
    /// was lost, a recovery code that was used, or an address that was given up, gets nowhere.
    fn take_away_again(&self, ending: &Ending) -> Vec<Change> {
        match ending {
            Ending::FactorEnded { id } => vec![
                Change {
                    sql: "UPDATE people SET totp = NULL, totp_next = NULL, \
                          totp_confirmed_at = NULL, totp_step = NULL, recovery_codes = NULL \
                          WHERE id = $1 AND totp_confirmed_at IS NOT NULL",
                    values: vec![id.into()],
                    count: Some(|done| &mut done.factors_ended_again),
                },
                // With the password alone nobody enrols another one: a mail comes before it.
                Change {
                    sql: "UPDATE customers SET password_hash = $1, counter = counter + 1 \
                          WHERE environment = $2 AND id = $3",
                    values: vec![
                        self.unusable_hash.into(),
                        Environment::Portal.as_str().into(),
                        id.into(),
                    ],
                    count: None,
                },
            ],
            Ending::RecoveryCodeUsed { id } => vec![Change {
                sql: "UPDATE people SET recovery_codes = '' WHERE id = $1 AND recovery_codes <> ''",
                values: vec![id.into()],
                count: Some(|done| &mut done.recovery_codes_voided),
            }],
            Ending::WebhookChanged { environment, id } => vec![Change {
                sql: "UPDATE webhook_endpoints SET enabled = FALSE \
                      WHERE environment = $1 AND id = $2 AND enabled",
                values: vec![environment.as_str().into(), id.into()],
                count: Some(|done| &mut done.webhooks_switched_off),
            }],
            Ending::ClientNarrowed { environment, client_id } if self.disable_narrowed => {
                vec![Change {
                    sql: "UPDATE clients SET disabled = TRUE \
                          WHERE environment = $1 AND id = $2 AND NOT disabled",
                    values: vec![environment.as_str().into(), client_id.as_str().into()],
                    count: Some(|done| &mut done.narrowed_clients_disabled),
                }]
            }
            _ => Vec::new(),
        }
    }

    fn void(&self, ending: &Ending) -> Option<Change> {
        match ending {
            Ending::SecretChanged { environment, client_id }
                if self.void_secrets == Voided::Changed =>
            {
                Some(Change {
                    sql: VOID_SECRETS_OF,
                    values: vec![environment.as_str().into(), client_id.as_str().into()],
                    count: Some(|done| &mut done.secrets_voided),
                })
            }
            Ending::PasswordChanged { environment, id }
            | Ending::OwnPasswordChanged { environment, id }
                if self.void_passwords == Voided::Changed =>
            {
                Some(Change {
                    sql: "UPDATE customers SET password_hash = $1 WHERE password_hash <> $1 \
                          AND environment = $2 AND id = $3",
                    values: vec![self.unusable_hash.into(), environment.as_str().into(), id.into()],
                    count: Some(|done| &mut done.passwords_voided),
                })
            }
            _ => None,
        }
    }
}

impl Change {
    /// Counts the rows that it changed.
    pub(super) fn count(&self, rows: u64, done: &mut Restored) {
        if let Some(count) = self.count {
            *count(done) += rows;
        }
    }
}
