//! The settings of a program for the connection strings of its user.

/// Returns the value of a variable.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The settings for reading a connection string: the source of variables, and the names that errors use.
///
/// ```
/// let nothing = |_: &str| None;
/// let string = pg_connect::Options::new()
///     .application_name("billing")
///     .given_as("--database")
///     .environment(&nothing)
///     .parse("postgres://me:secret@db.example/orders")?;
/// assert_eq!(string.to_string(), "db.example:5432/orders");
/// # Ok::<(), pg_connect::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Options<'a> {
    pub(crate) environment: Option<Lookup<'a>>,
    pub(crate) application_name: Option<&'a str>,
    pub(crate) given_as: &'a str,
}

impl<'a> Options<'a> {
    /// Takes variables from the process, gives the session no name in the server's list, and has advice name no flag
    /// or variable.
    pub fn new() -> Options<'a> {
        Options { environment: None, application_name: None, given_as: "the database URL" }
    }

    /// Looks up variables (`PGHOST`, `HOME` and others) here instead of in the process.
    #[must_use]
    pub fn environment(mut self, lookup: &'a dyn Fn(&str) -> Option<String>) -> Options<'a> {
        self.environment = Some(lookup);
        self
    }

    /// The name of the session, unless the user gives one by `application_name`, `fallback_application_name` or
    /// `PGAPPNAME`.
    #[must_use]
    pub fn application_name(mut self, name: &'a str) -> Options<'a> {
        self.application_name = Some(name);
        self
    }

    /// The flag or variable by which the user gives the string. Advice in errors names it.
    #[must_use]
    pub fn given_as(mut self, name: &'a str) -> Options<'a> {
        self.given_as = name;
        self
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options::new()
    }
}
