//! One part of the credentials, from the first place that has it.

use super::uri;
use crate::{
    mounts::{Keys, Mounted},
    password::Password,
    problem,
};
use api::{
    report::Problem,
    secret_keys::{self, Part},
    settings::TargetSettings,
    target::SecretKeys,
};
use std::collections::BTreeMap;

/// A Secret's keys and what its URI says. What the user named goes before what is known, and a
/// key before a part of the URI.
pub(super) struct Parts<'a> {
    target: &'a TargetSettings,
    secret: &'a Keys,
    uri: Option<Result<BTreeMap<Part, String>, Problem>>,
}

impl<'a> Parts<'a> {
    /// Reads the URI. One that the user did not name and that can't be read only matters where
    /// something is missing.
    pub(super) fn new(target: &'a TargetSettings, mounted: &'a Mounted) -> Result<Self, Problem> {
        let secret = &mounted.secret;
        if secret.is_empty() {
            return Err(problem::secret_not_found(&target.secret_name));
        }
        let parse =
            |text| uri::parse(text).ok_or_else(|| problem::uri_unreadable(&target.secret_name));
        let uri = key(&target.secret_name, secret, &target.keys, Part::Uri)?.map(parse);
        match uri {
            Some(Err(problem)) if target.keys.uri.is_some() => Err(problem),
            uri => Ok(Self { target, secret, uri }),
        }
    }

    /// A part, if there is one. An empty value is as good as none.
    pub(super) fn find(&self, part: Part) -> Result<Option<&str>, Problem> {
        let key = self.key(part)?;
        let of_uri = self.of_uri(part);
        let keys = &self.target.keys;
        let uri_is_nearer = keys.uri.is_some() && part.named(keys).is_none();
        Ok(if uri_is_nearer { of_uri.or(key) } else { key.or(of_uri) })
    }

    /// A part that there must be, unless the manifest has it.
    pub(super) fn needed(&self, part: Part, written: Option<&str>) -> Result<String, Problem> {
        let found = match written {
            Some(written) => Some(written),
            None => self.find(part)?,
        };
        found.map(str::to_owned).ok_or_else(|| match &self.uri {
            Some(Err(problem)) => problem.clone(),
            _ => problem::part_missing(&self.target.secret_name, part, self.secret),
        })
    }

    /// Everything here that must not be shown, used or not, with what stands for it.
    pub(super) fn hidden(&self) -> Result<Vec<(Password, &'static str)>, Problem> {
        let mut hidden = Vec::new();
        for (part, word) in [
            (Part::Uri, "<uri>"),
            (Part::Password, "<password>"),
            (Part::User, "<user>"),
            (Part::Database, "<database>"),
            (Part::Host, "<host>"),
        ] {
            let values = [self.key(part)?, self.of_uri(part)];
            hidden.extend(values.into_iter().flatten().map(|value| (Password::new(value), word)));
        }
        Ok(hidden)
    }

    fn key(&self, part: Part) -> Result<Option<&str>, Problem> {
        key(&self.target.secret_name, self.secret, &self.target.keys, part)
    }

    fn of_uri(&self, part: Part) -> Option<&str> {
        let parts = self.uri.as_ref()?.as_ref().ok()?;
        parts.get(&part).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The key of a part in the Secret of that name.
pub(super) fn key<'a>(
    name: &str,
    secret: &'a Keys,
    keys: &SecretKeys,
    part: Part,
) -> Result<Option<&'a str>, Problem> {
    secret_keys::find(secret, keys, part)
        .map(|value| value.filter(|value| !value.is_empty()))
        .map_err(|missing| problem::named_key_missing(name, &missing, secret))
}
