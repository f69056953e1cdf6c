//! The APIs of an environment: `[[environment.staging.api]]`.

use grantor_protocol::api::{AccessTokenFormat, Api, Apis};
use grantor_protocol::resource::{ResourceFault, Resources};
use grantor_protocol::scope::Scope;
use toml::Spanned;

use super::Check;
use crate::config::file::ApiSection;

impl Check<'_> {
    pub(super) fn apis(&mut self, sections: &[ApiSection]) -> Apis {
        let mut apis: Vec<Api> = Vec::new();
        for section in sections {
            let (resource, scopes) = (self.resource(section), self.api_scopes(section));
            let access_tokens = self.access_tokens(section);
            if let Some(resource) = &resource
                && Apis::new(apis.clone()).find(resource).is_some()
            {
                self.fault(section.resource.span(), "two APIs have this resource", None);
            }
            if let (Some(resource), Some(scopes), Some(access_tokens)) =
                (resource, scopes, access_tokens)
            {
                apis.push(Api {
                    name: section.name.clone().unwrap_or_else(|| resource.clone()),
                    resource,
                    scopes,
                    access_tokens,
                    introspection_clients: section.introspection_clients.clone(),
                });
            }
        }
        Apis::new(apis)
    }

    fn resource(&mut self, section: &ApiSection) -> Option<String> {
        let named = &section.resource;
        let words = match Resources::parse([named.get_ref().as_str()]) {
            Ok(_) => return Some(named.get_ref().clone()),
            Err(ResourceFault::Fragment) => "the resource of an API has no fragment",
            Err(
                ResourceFault::NotAbsolute
                | ResourceFault::TooMany
                | ResourceFault::Unknown { .. }
                | ResourceFault::NoScope { .. },
            ) => "the resource of an API is an absolute URI",
        };
        self.fault(named.span(), words, "for example https://api.example.com");
        None
    }

    fn api_scopes(&mut self, section: &ApiSection) -> Option<Scope> {
        let scopes = self.scope(&section.scopes)?;
        if scopes.is_empty() {
            self.fault(section.scopes.span(), "an API knows at least one scope", None);
            return None;
        }
        Some(scopes)
    }

    fn access_tokens(&mut self, section: &ApiSection) -> Option<AccessTokenFormat> {
        let Some(named) = &section.access_tokens else {
            return Some(AccessTokenFormat::default());
        };
        let found =
            AccessTokenFormat::ALL.into_iter().find(|format| format.as_str() == named.get_ref());
        if found.is_none() {
            let words = format!("{:?} is no kind of access token", named.get_ref());
            self.fault(Spanned::span(named), words, "\"sealed\", \"ES256\" or \"EdDSA\"");
        }
        found
    }
}
