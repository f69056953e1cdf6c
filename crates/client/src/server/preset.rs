//! Servers whose addresses and ways are known beforehand: those of the K-Series API.

use super::{ExchangeIn, SecretIn, Server};

/// A server that is known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The guide's staging
    KSeriesStaging,
    /// The guide's production
    KSeriesProduction,
    /// The newer system's trial
    KSeriesV2Demo,
    /// The newer system's production
    KSeriesV2Production,
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 4] = [
        Preset::KSeriesStaging,
        Preset::KSeriesProduction,
        Preset::KSeriesV2Demo,
        Preset::KSeriesV2Production,
    ];

    /// Its name, as it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Preset::KSeriesStaging => "kseries-staging",
            Preset::KSeriesProduction => "kseries-production",
            Preset::KSeriesV2Demo => "kseries-v2-demo",
            Preset::KSeriesV2Production => "kseries-v2-production",
        }
    }

    /// The one of that name, if there is one.
    pub fn parse(name: &str) -> Option<Preset> {
        Preset::ALL.into_iter().find(|preset| preset.as_str() == name)
    }

    /// Which of the two worlds it is, as it stands in ids of clients (`devp-staging-…`).
    pub fn environment(self) -> &'static str {
        match self {
            Preset::KSeriesStaging | Preset::KSeriesV2Demo => "staging",
            Preset::KSeriesProduction | Preset::KSeriesV2Production => "production",
        }
    }

    /// The scopes without which it gives no refresh token.
    pub fn scope(self) -> Option<&'static str> {
        match self {
            Preset::KSeriesStaging | Preset::KSeriesProduction => None,
            Preset::KSeriesV2Demo | Preset::KSeriesV2Production => Some("offline_access"),
        }
    }

    /// The server.
    pub fn server(self) -> Server {
        match self {
            Preset::KSeriesStaging => version_1(STAGING_API),
            Preset::KSeriesProduction => version_1(PRODUCTION_API),
            Preset::KSeriesV2Demo => version_2("https://auth.lsk-demo.app", STAGING_API),
            Preset::KSeriesV2Production => version_2("https://auth.lsk-prod.app", PRODUCTION_API),
        }
    }

    /// The same ways at another base URL: a proxy, or a server that stands in for it.
    pub fn at(self, base_url: &str) -> Server {
        let base_url = base_url.trim_end_matches('/');
        match self {
            Preset::KSeriesStaging | Preset::KSeriesProduction => version_1(base_url),
            Preset::KSeriesV2Demo | Preset::KSeriesV2Production => version_2(base_url, base_url),
        }
    }
}

const STAGING_API: &str = "https://api.trial.lsk.lightspeed.app";
const PRODUCTION_API: &str = "https://api.lsk.lightspeed.app";

/// The guide's own: the exchange in the query, nothing known of PKCE, `iss` or revocation.
fn version_1(base_url: &str) -> Server {
    Server {
        issuer: base_url.to_owned(),
        authorization_endpoint: format!("{base_url}/oauth/authorize"),
        token_endpoint: format!("{base_url}/oauth/token"),
        revocation_endpoint: None,
        api_url: base_url.to_owned(),
        pkce: false,
        names_itself: false,
        secret_in: SecretIn::PlainHeader,
        exchange_in: ExchangeIn::Query,
    }
}

fn version_2(host: &str, api_url: &str) -> Server {
    let issuer = format!("{host}/realms/k-series");
    Server {
        authorization_endpoint: format!("{issuer}/protocol/openid-connect/auth"),
        token_endpoint: format!("{issuer}/protocol/openid-connect/token"),
        revocation_endpoint: Some(format!("{issuer}/protocol/openid-connect/revoke")),
        issuer,
        api_url: api_url.to_owned(),
        pkce: true,
        names_itself: false,
        secret_in: SecretIn::Header,
        exchange_in: ExchangeIn::Body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_preset_is_found_by_its_name_and_speaks_https_alone() {
        for preset in Preset::ALL {
            assert_eq!(Preset::parse(preset.as_str()), Some(preset));
            let server = preset.server();
            let revocation = server.revocation_endpoint.as_ref();
            for url in [&server.authorization_endpoint, &server.token_endpoint, &server.api_url]
                .into_iter()
                .chain(revocation)
            {
                assert!(url.starts_with("https://"), "{url}");
            }
        }
        assert_eq!(Preset::parse("kseries"), None);
    }

    #[test]
    fn the_guides_addresses_are_the_guides() {
        let staging = Preset::KSeriesStaging.server();
        assert_eq!(
            staging.authorization_endpoint,
            "https://api.trial.lsk.lightspeed.app/oauth/authorize"
        );
        assert_eq!(staging.token_endpoint, "https://api.trial.lsk.lightspeed.app/oauth/token");
        assert_eq!(staging.exchange_in, ExchangeIn::Query);
        let moved = Preset::KSeriesProduction.at("http://127.0.0.1:8301/");
        assert_eq!(moved.token_endpoint, "http://127.0.0.1:8301/oauth/token");
    }
}
