//! Removes host names and the database's name from what AWS says.

/// Names that must not be shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrubber {
    names: Vec<(String, &'static str)>,
}

impl Scrubber {
    /// From now on `<host>` stands in place of this name.
    pub(crate) fn host(&mut self, name: Option<&str>) {
        self.add(name, "<host>");
    }

    /// From now on `<database>` stands in place of this name.
    pub(crate) fn database(&mut self, name: Option<&str>) {
        self.add(name, "<database>");
    }

    fn add(&mut self, name: Option<&str>, word: &'static str) {
        self.names.extend(name.map(|name| (bare(name), word)));
    }

    /// The text without these names, and without any other host of AWS's.
    pub(crate) fn clean(&self, text: &str) -> String {
        let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let (word, tail) =
                rest.split_at(rest.find(|c: char| !is_of_a_name(c)).unwrap_or(rest.len()));
            match self.word_for(&bare(word)) {
                Some(instead) => clean.push_str(instead),
                None => clean.push_str(word),
            }
            let between = tail.find(is_of_a_name).unwrap_or(tail.len());
            clean.extend(tail[..between].chars().map(|c| if c.is_control() { ' ' } else { c }));
            rest = &tail[between..];
        }
        clean
    }

    fn word_for(&self, word: &str) -> Option<&'static str> {
        let known = self.names.iter().find(|(name, _)| name == word).map(|(_, instead)| *instead);
        let is_host = word.ends_with(".amazonaws.com") || word.ends_with(".amazonaws.com.cn");
        known.or(is_host.then_some("<host>"))
    }
}

/// A name as names are compared.
pub(crate) fn bare(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_sense_without_names() {
        let mut scrubber = Scrubber::default();
        scrubber.host(Some("db.example.org"));
        scrubber.database(Some("pulp-db"));
        let clean = |text| scrubber.clean(text);
        assert_eq!(
            clean(
                "RDS Proxy pulp\nadded target pulp-db (PULP-DB.abc.us-east-1.rds.amazonaws.com:5432)."
            ),
            "RDS Proxy pulp added target <database> (<host>:5432)."
        );
        assert_eq!(clean("no DB.Example.org. äh"), "no <host> äh");
        assert_eq!(clean("pulp-db-2 stays"), "pulp-db-2 stays");
    }
}
