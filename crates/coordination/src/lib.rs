//! Configuration service: members, election, locks, flags, settings.
