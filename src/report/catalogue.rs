//! Every problem the tool can name. The manual page `mailtally-findings(7)` is made from this table.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Carried as it is.
    Info,
    /// Carried; look at it.
    Warning,
    /// Not carried, or not readable: mail is at stake.
    Error,
}

impl Severity {
    /// The word in records and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A problem with a name that scripts can rely on.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The stable name, `FORMAT.WHAT`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is the case, and where it comes from.
    pub cause: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// What else to do, where a repair does something about it.
    pub left: Option<Left>,
}

/// What is left for a person where a repair has done what it could.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// `repair`, with the option that it takes.
    pub by: &'static str,
    /// What to do then.
    pub remedy: &'static str,
}

impl Rule {
    /// True where a server that opens the store before a repair does loses or rebuilds something. To who carries
    /// the mail it may be a warning all the same.
    pub fn comes_before_a_server(&self) -> bool {
        BEFORE_A_SERVER.contains(&self)
    }

    /// What to do about it once a repair with these options is done.
    pub fn remedy_after(&self, given: &[&str]) -> &'static str {
        let done = |left: &&Left| {
            let option = left.by.strip_prefix("repair ");
            option.is_none_or(|option| given.contains(&option))
        };
        let left = self.left.as_ref().filter(done);
        left.map_or(self.remedy, |left| left.remedy)
    }
}

/// Rules of which a repair, or a person, comes before a server.
static BEFORE_A_SERVER: &[&Rule] = &[
    &INDEX_BROKEN,
    &INDEX_CACHE,
    &INDEX_INDEXID,
    &INDEX_LOG,
    &INDEX_LOG_GAP,
    &INDEX_UIDVALIDITY_WRONG,
    &DBOX_NEWER,
    &MAILDIR_INDEX_UIDVALIDITY,
    &UIDLIST_RECOVERED,
    &UIDLIST_UIDVALIDITY,
    &MDBOX_MAP_MISSING,
    &MDBOX_MAP_UIDVALIDITY,
    &MDBOX_ASTRAY,
    &MDBOX_REFCOUNT,
];

/// Where there is nothing but a repair.
const ELSE: &str =
    "mend what else is listed first; if nothing is, restore the account from a backup";

macro_rules! left {
    () => {
        None
    };
    ($by:literal => $remedy:expr) => {
        Some(Left {
            by: $by,
            remedy: $remedy,
        })
    };
}

/// A code, how bad it is, cause and remedy; and behind what repair does about it, the remedy that is left.
macro_rules! rules {
    ($($name:ident = $code:literal, $severity:ident, $cause:literal, $remedy:literal
        $(, $by:literal => $left:expr)?;)*) => {
        $(
            #[doc = concat!("`", $code, "`")]
            pub static $name: Rule = Rule {
                code: $code,
                severity: Severity::$severity,
                cause: $cause,
                remedy: $remedy,
                left: left!($($by => $left)?),
            };
        )*
        /// All rules, in the order of their codes' groups.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    ACCOUNT_CHANGED = "account.changed", Error,
        "the source changed while it was read: what came or moved meanwhile may be missing",
        "run the same command again; for the last pass, stop deliveries and sessions first";
    ACCOUNT_FEWER = "account.fewer", Warning,
        "the source has fewer mailboxes, or far fewer messages, than at the last pass; the destination is made to hold the same, unless account.kept says that it stays as it was",
        "make sure that the source is the right one and complete, before the server is switched";
    ACCOUNT_ELSEWHERE = "account.elsewhere", Warning,
        "the source lies in another place than at the last pass; its INBOX is the same one, so it is taken for the same account",
        "make sure that the source is the right one, as a snapshot or a copy of it is";
    ACCOUNT_KEPT = "account.kept", Error,
        "the destination has mail that is lost at the source, and nothing tells that a client deleted it: the destination is kept as the last pass left it, and nothing newer was carried",
        "mend the source, or bring back what it has lost, and run the same command again; to let go of what only the destination has, run it for this user with --accept-loss";
    ACCOUNT_FAILED = "account.failed", Error,
        "the account could not be worked on at all; the other accounts go on",
        "see the detail; mend it and run the same command again";
    ACCOUNT_MODSEQ = "account.modseq", Info,
        "the destination does not keep how often a mailbox was changed (CONDSTORE), so the server begins to count anew; a client that goes by the count may miss a change of flags",
        "nothing; clients that go by the count load all flags anew when their copy is removed";
    ACCOUNT_MISSING = "account.missing", Error,
        "a user was named that has no store at the location, or has one at the source and none at the destination",
        "check the spelling and the location's variables; at a destination, look what the conversion said of the user";
    ACCOUNT_EXTRA = "account.extra", Error,
        "a user has a store at the destination and none at the source",
        "look whether the user is to be there; check the spelling and the locations' variables";
    ACCOUNT_MOVES = "account.moves", Warning,
        "so many messages are on one side only that it was not looked for all of them in other places; some that are said to be missing or extra may have moved",
        "nothing; what is said to differ does differ";
    ACCOUNT_OWNER = "account.owner", Warning,
        "files could not be given to the owner of the source, because the run is not root",
        "run as root, or as the mail user, or name --owner";
    ACCOUNT_SAVED_DATES = "account.saved-dates", Info,
        "a Maildir does not keep when a message came into its mailbox; the received dates are kept",
        "nothing, unless the server expires mail by the date at which it was saved: such rules begin anew";
    ACCOUNT_READ_ONLY = "account.read-only", Error,
        "a directory in which something is to be mended cannot be written to: the run itself would end before its first step, and change nothing",
        "run as the mail user, or as root; a file system that is mounted read-only is to be mounted for writing first";
    ACCOUNT_REPAIR_BEGUN = "account.repair-begun", Warning,
        "a repair was cut off: some of its steps are not done, or it could not tell what it has lost",
        "run repair, which carries it out to its end first, and tells all of it",
        "repair" => ELSE;
    ACCOUNT_REPAIR_FINISHED = "account.repair-finished", Info,
        "an earlier repair was cut off; it was carried out to its end first, and its steps are told now",
        "nothing";
    ACCOUNT_REPAIR_UNDONE = "account.repair-undone", Info,
        "the last repair was taken back: every file is what it was before it",
        "nothing";
    ACCOUNT_SPACE = "account.space", Error,
        "the file system of the destination has less room than the account needs, or than all new accounts need together",
        "make room before the run";
    ACCOUNT_STATE = "account.state", Error,
        "mailtally.state is there and cannot be read to its end: no message can be held against what the conversion that made the store proved, and nothing that is lost can be taken from it",
        "restore the file from a backup; else compare the store with the source of that conversion (verify), and remove the file";
    ACCOUNT_TWO_STORES = "account.two-stores", Warning,
        "another format's store lies in the same folder, as a transfer that was cut off leaves it",
        "compare the two with verify and remove the one that is not in use";
    ACL_UNREADABLE = "acl.unreadable", Error,
        "a dovecot-acl file cannot be read, so its rights are not carried",
        "make it readable and convert again";

    FILE_UNREADABLE = "file.unreadable", Error,
        "a file of the store cannot be read, so the list of SHA-256 has no line for it",
        "make the file readable for the run (owner, mode, disk) and run again";

    MAILBOX_GONE = "mailbox.gone", Error,
        "the server's list of mailboxes (dovecot.list.index), or mailtally.state where no server tells what became of it, has a mailbox with messages that is not there: its folder was lost, or removed beneath the server",
        "look in a backup for the folder; if it is gone on purpose, let a client of the server list the mailboxes once; of a Maildir, repair --accept-loss makes the list forget it",
        "repair --accept-loss" => "look in a backup for the folder; if it is gone on purpose, let a client of the server list the mailboxes once";
    MAILBOX_RENAMED = "mailbox.renamed", Warning,
        "the destination cannot hold the mailbox's name as it is, so the mailbox gets another one",
        "tell the user, or rename the mailbox at the source first";
    MAILBOX_NAME = "mailbox.name", Warning,
        "the name on disk is not modified UTF-7; it is read as the text that it shows",
        "look whether the name reads right";
    MAILBOX_NAME_CLASH = "mailbox.name-clash", Warning,
        "two names differ only in case or in Unicode form, which some file systems and clients cannot tell apart",
        "rename one of them if the destination is such a file system";
    MAILBOX_GUID_TWICE = "mailbox.guid-twice", Warning,
        "two mailboxes claim the same GUID, as a copied folder does; the second gets a new one",
        "nothing, unless a dsync peer knows the second by its old GUID";
    MAILBOX_UNREADABLE = "mailbox.unreadable", Error,
        "a mailbox folder cannot be listed; its messages are not carried",
        "give the run the rights to read it, or run fsck";

    MAILBOX_NO_SELECT = "mailbox.no-select", Info,
        "a name holds no messages and stands above no mailbox that does; the destination has no place for it",
        "nothing";
    MAILBOX_KEYWORDS = "mailbox.keywords", Error,
        "the destination has room for fewer keywords a mailbox (a Maildir 26, dbox 4096); the least used ones are not carried",
        "let the user do without them, or convert to another format";

    MESSAGE_NUL = "message.nul", Info,
        "messages have NUL bytes; they are kept, but IMAP APPEND refuses such messages",
        "nothing";
    MESSAGE_BARE_CR = "message.bare-cr", Info,
        "messages have CRs without LF; they are kept as they are",
        "nothing";
    MESSAGE_EIGHT_BIT_HEADER = "message.8bit-header", Info,
        "headers have bytes above 127, as old mail programs wrote them; they are kept",
        "nothing";
    MESSAGE_LONG_LINE = "message.long-line", Info,
        "messages have lines of more than 998 bytes; they are kept",
        "nothing";
    MESSAGE_NO_HEADER = "message.no-header", Info,
        "messages begin without a header; they are kept",
        "nothing";
    MESSAGE_MIXED_LINE_ENDS = "message.mixed-line-ends", Info,
        "messages mix LF and CRLF line ends; they are kept as they are",
        "nothing";
    MESSAGE_ALTERED = "message.altered", Error,
        "a message is not what the conversion that wrote it proved it to be (mailtally.state): its bytes were damaged since, or someone has edited it",
        "bring the message back from the source of that conversion or from a backup; once it is accepted as it is, remove mailtally.state";
    MESSAGE_CHANGED = "message.changed", Error,
        "a message did not hold still while it was compared: it was read twice, and was not the same, or was gone",
        "stop deliveries and sessions, and verify again";
    MESSAGE_REFUSED = "message.refused", Error,
        "the destination's format cannot hold the message; it is not carried",
        "see the detail; convert the account to another format";
    MESSAGE_GUID_MADE = "message.guid-made", Warning,
        "the destination cannot hold the GUIDs of messages, because they are empty or have spaces or control characters; the messages get others, made of the old ones",
        "nothing, unless a dsync peer knows the messages by their old GUIDs";
    MESSAGE_UIDL_LOST = "message.uidl-lost", Warning,
        "the destination cannot hold the POP3 UIDLs of messages, because they are empty or have spaces or control characters, which POP3 does not allow either",
        "nothing, unless a POP3 client knows the messages by them: it loads them again";
    MESSAGE_TWICE = "message.twice", Info,
        "a mailbox holds messages with exactly the same bytes; all are kept",
        "nothing, or remove the copies with a client";

    MAILDIR_UNREADABLE = "maildir.unreadable", Error,
        "a message file cannot be read, so the message is not carried",
        "make the file readable for the run (owner, mode, disk) and convert again";
    MAILDIR_DAMAGED = "maildir.damaged", Error,
        "a compressed message breaks off or does not decompress; what could be recovered is carried",
        "restore the file from a backup, and run again; else repair keeps what is left of it",
        "repair" => "restore the file from a backup, and run again";
    MAILDIR_SIZE_MISMATCH = "maildir.size-mismatch", Warning,
        "the size that the file name, the uidlist or the server's cache promises is not the size of the message",
        "look at the end of the message for truncation; repair corrects what promises it",
        "repair" => "look at the end of the message for truncation";
    MAILDIR_VSIZE_MISMATCH = "maildir.vsize-mismatch", Warning,
        "the virtual size (W=) that the file name, the uidlist or the server's cache promises is not that of the message; Dovecot would cut the message short or show a wrong size",
        "nothing at the destination, where it is right; repair corrects the source",
        "repair" => ELSE;
    MAILDIR_EMPTY = "maildir.empty", Warning,
        "the message file has no bytes, as a full disk or a crash leaves it",
        "restore the file from a backup, or expunge it";
    MAILDIR_NUL_BLOCK = "maildir.nul-block", Error,
        "the message is nothing but NULs, or has 512 of them or more in a row: a block was never written before a crash, or was lost",
        "restore the file from a backup; other copies have the same base name";
    MAILDIR_ENCRYPTED = "maildir.encrypted", Warning,
        "the message is encrypted by mail_crypt; it is carried as ciphertext",
        "give the destination server the same keys";
    MAILDIR_COMPRESSED = "maildir.compressed", Info,
        "messages are compressed; unless --compress says otherwise, they are written uncompressed, which every server reads",
        "nothing; mind the room at the destination";
    MAILDIR_STRAY = "maildir.stray", Warning,
        "a file is no message: leftovers of an editor, NFS, fsck or a sync tool; it is not carried",
        "look at it and remove it";
    MAILDIR_STRAY_DIR = "maildir.stray-dir", Warning,
        "a directory lies among the messages; it is not carried",
        "look at it and move it away";
    MAILDIR_DUPLICATE_NAME = "maildir.duplicate-name", Warning,
        "two files have the same base name, as rsync without --delete leaves them; the same bytes become one message, different bytes two",
        "nothing at the destination; at the source repair takes the older name away, and gives other bytes a name of their own",
        "repair" => ELSE;
    MAILDIR_SYMLINK = "maildir.symlink", Warning,
        "a symbolic link to a message or folder inside the account; what it points to is carried",
        "nothing";
    MAILDIR_SYMLINK_OUTSIDE = "maildir.symlink-outside", Error,
        "a symbolic link that is dangling or leads out of the account; it is not followed, and nothing is carried for it",
        "copy what it points to into the account if it is wanted";
    MAILDIR_MISSING_DIR = "maildir.missing-dir", Info,
        "a mailbox lacks one of cur, new and tmp, as a copy without empty directories leaves it",
        "nothing; a server makes it, and so does repair",
        "repair" => "nothing";
    MAILDIR_EMPTIED = "maildir.emptied", Error,
        "cur/ is not there, or has not one file of the messages that the mailbox's lists know: they were lost, or removed beneath the server",
        "look in a backup for the files; if they are gone on purpose, let a client open the mailbox once, or run repair --accept-loss, which takes them out of the lists",
        "repair --accept-loss" => "look in a backup for the files; if they are gone on purpose, let a client open the mailbox once";
    MAILDIR_LOST = "maildir.lost", Error,
        "the uidlist and the server's index have a message that was not expunged, and its file is gone: it was lost, or removed beneath the server",
        "look in a backup for the named file; if it is gone on purpose, let a client open the mailbox once; else repair takes it out of the list",
        "repair" => "look in a backup for the named file; if it is gone on purpose, let a client open the mailbox once";
    MAILDIR_TMP = "maildir.tmp", Info,
        "files in tmp/ are unfinished deliveries; they are never mail",
        "remove those that are older than 36 hours; with fresh ones, stop deliveries first";
    MAILDIR_NO_INFO = "maildir.no-info", Info,
        "files in cur/ have no flags part (:2,); they are read as messages without flags",
        "nothing";
    MAILDIR_FOREIGN_INFO = "maildir.foreign-info", Warning,
        "names end in flags behind another character than a colon, as Windows tools write them; as in Dovecot, that is part of the name and not flags",
        "rename the files to :2, at the source if the flags are wanted";
    MAILDIR_EXTRA_FIELDS = "maildir.extra-fields", Info,
        "names have fields behind the flags; the fields mean nothing to Dovecot and are not carried",
        "nothing";
    MAILDIR_DATE = "maildir.date", Warning,
        "a received date (file time) lies in the future, at 1970 or before, or beyond what the destination holds",
        "run repair --dates, which takes a better one from the name, the cache or the header, where there is one",
        "repair --dates" => "look at the message: neither its name, nor the cache, nor its header tells a better date";
    MAILDIR_COPY_DATES = "maildir.copy-dates", Warning,
        "most messages of a mailbox were received in the same minute: file times are those of a copy, not of arrival",
        "copy again with times kept (rsync -t, cp -p), or repair --dates",
        "repair --dates" => "copy again with times kept (rsync -t, cp -p)";
    MAILDIR_KEYWORD_UNNAMED = "maildir.keyword-unnamed", Warning,
        "file names use a keyword letter that dovecot-keywords does not name; it has the name that the index tells for sure, else it becomes unknown-N as in Dovecot",
        "run repair, which takes the name that the index tells or the account's other folders agree on; else add the missing line to dovecot-keywords",
        "repair" => "add the missing line to dovecot-keywords";
    MAILDIR_KEYWORD_NAME = "maildir.keyword-name", Warning,
        "dovecot-keywords gives a letter another name than the server's index has on the same messages; one of the two was damaged, and the list's is what a server shows",
        "ask the user which label is right; where it is the index's, put that name into dovecot-keywords";
    MAILDIR_KEYWORD_CASE = "maildir.keyword-case", Warning,
        "two keywords differ only in case, which IMAP does not tell apart; they become one",
        "nothing";
    MAILDIR_KEYWORDS_BROKEN = "maildir.keywords-broken", Warning,
        "dovecot-keywords has lines that cannot be read; they are skipped",
        "look at the file; repair writes it anew",
        "repair" => "look at the file";
    MAILDIR_HARD_LINK = "maildir.hard-link", Info,
        "message files are hard links of one another; each becomes a message of its own",
        "nothing";
    MAILDIR_VANISHED = "maildir.vanished", Warning,
        "a file went away between listing and reading, as on a store in use",
        "stop the mail server for the user, and run again";
    MAILDIR_INBOX_FOLDER = "maildir.inbox-folder", Warning,
        "a folder is called INBOX beside the real INBOX, where no client can see it; it is carried under another name",
        "tell the user where the messages are";
    MAILDIR_DOT_FOLDER = "maildir.dot-folder", Warning,
        "LAYOUT=fs was named, and a folder with a leading dot holds cur or new, as the mailboxes of a Maildir++ do; it is read as a mailbox whose name has the dot",
        "leave LAYOUT=fs out, unless a client shows the name with its dot";
    MAILDIR_NESTED = "maildir.nested", Error,
        "a whole Maildir lies in a folder that is no mailbox here; it is not carried",
        "convert it as an account of its own, or move it";
    MAILDIR_SHARED = "maildir.shared", Info,
        "dovecot-shared marks a mailbox whose \\Seen flags are kept elsewhere for each user",
        "carry the users' private indexes by hand";
    MAILDIR_UIDVALIDITY = "maildir.uidvalidity", Warning,
        "UIDVALIDITY in the index and in the uidlist differ, and the server's list of mailboxes does not say which is right; the uidlist's is taken, as a server takes it: where it is wrong, clients load all messages again",
        "nothing, or restore the uidlist from a backup";
    MAILDIR_INDEX_UIDVALIDITY = "maildir.index-uidvalidity", Warning,
        "the index has another UIDVALIDITY than the uidlist and the server's list of mailboxes, for the same UIDs; theirs is taken, and a server would throw away what only the index knows",
        "run repair before a server opens the store",
        "repair" => ELSE;

    UIDLIST_BROKEN = "uidlist.broken", Warning,
        "the uidlist has a header, lines, or words in them that cannot be right; sound lines keep their UIDs, the others get new ones, for which clients load the message again, and what a damaged word told of a message is gone, such as its GUID",
        "nothing, or restore the uidlist from a backup and convert again; repair writes it anew",
        "repair" => "nothing, or restore the uidlist from a backup and convert again";
    UIDLIST_UIDVALIDITY = "uidlist.uidvalidity", Error,
        "the uidlist has another UIDVALIDITY than the index and the server's list of mailboxes; theirs is taken, but a server goes by the uidlist, and clients load all messages again",
        "run repair before a server opens the store",
        "repair" => ELSE;
    UIDLIST_RENUMBERED = "uidlist.renumbered", Warning,
        "lines of the uidlist are broken, and messages without a sound line get new UIDs: clients load them again",
        "restore the uidlist from a backup and convert again; repair writes it anew, with the new UIDs",
        "repair" => "restore the uidlist from a backup and convert again";
    UIDLIST_RECOVERED = "uidlist.recovered", Warning,
        "lines of the uidlist are lost, or name files with other sizes, and the names, the server's index and cache, or what a conversion remembers, tell for sure which UIDs these messages have: they keep them; a server gives them new ones",
        "run repair before a server opens the store",
        "repair" => "nothing";
    UIDLIST_UNREADABLE = "uidlist.unreadable", Error,
        "the uidlist is there and cannot be read: UIDs are made anew, and clients load all messages of the mailbox again",
        "make it readable for the run (owner, mode, disk), or put the file in the place of a link to it, and run again";
    UIDLIST_TRUNCATED = "uidlist.truncated", Warning,
        "the last line of the uidlist is cut off; it is left out",
        "nothing; repair writes it anew",
        "repair" => "nothing";
    UIDLIST_DUPLICATE = "uidlist.duplicate", Warning,
        "the uidlist names a file twice; as in Dovecot, the later line holds",
        "nothing; repair writes it anew",
        "repair" => "nothing";
    UIDLIST_MISSING = "uidlist.missing", Warning,
        "the mailbox has messages and no uidlist: UIDs are made anew, and clients load all its messages again",
        "find the dovecot-uidlist (CONTROL= may name its place) and convert again; else repair writes one",
        "repair" => "find the dovecot-uidlist (CONTROL= may name its place) and convert again";
    UIDLIST_UNLISTED = "uidlist.unlisted", Info,
        "messages came after the uidlist was last written; they get the next UIDs, as Dovecot would give them",
        "nothing";
    UIDLIST_LOST = "uidlist.lost", Warning,
        "files are gone that the uidlist names, and an index that is older, or not whole, knows their messages",
        "look in a backup for the named files, if nobody expunged them";
    UIDLIST_EXPUNGED = "uidlist.expunged", Info,
        "the uidlist still names files that were expunged",
        "nothing";
    UIDLIST_REAPPEARED = "uidlist.reappeared", Warning,
        "messages that were expunged are there again; as in Dovecot, they get new UIDs",
        "nothing, or expunge them again";
    UIDLIST_OLD = "uidlist.old", Info,
        "UIDs come from a list of Courier or of an old Dovecot",
        "nothing";
    UIDLIST_FULL = "uidlist.full", Error,
        "the mailbox has used up all UIDs, so new messages cannot get one; they are not carried",
        "let the user move the messages into a new folder";
    UIDLIST_HIGH = "uidlist.high", Warning,
        "UIDs are above 2^31, which some clients take for negative numbers",
        "nothing, or let the user move the messages into a new folder";

    TALLY_UNREAD = "tally.unread", Error,
        "a message or mailbox could not be read when the tally was made, so nobody knows whether it is the same",
        "mend the store that the tally was made of, and make the tally again";

    SUBSCRIPTION_UNKNOWN = "subscription.unknown", Info,
        "a subscribed name has no mailbox; the subscription is kept",
        "nothing";
    SUBSCRIPTIONS_UNREADABLE = "subscriptions.unreadable", Error,
        "the subscriptions file cannot be read, so subscriptions are not carried",
        "make it readable and convert again";
    SIEVE_UNREADABLE = "sieve.unreadable", Error,
        "a sieve script cannot be read or leads out of the account; it is not carried",
        "copy the script by hand";
    SIEVE_COPIED = "sieve.copied", Info,
        "the active sieve script is a link in the account's root, which Dovecot would take for a mailbox in a Maildir++; it is a copy there",
        "nothing; where ManageSieve is in use, activate the script once more so that it finds its link";
    QUOTA_STALE = "quota.stale", Info,
        "maildirsize does not say what the messages add up to",
        "nothing at the destination, where it is right; quota --write or repair corrects the source",
        "repair" => "mend what else is listed first, and run quota --write";
    QUOTA_BROKEN = "quota.broken", Warning,
        "maildirsize is negative, or cannot be read, or has something else where its limits stand",
        "nothing at the destination, where it is right; quota --write or repair corrects the source",
        "repair" => "mend what else is listed first, and run quota --write";
    QUOTA_WRAPPED = "quota.wrapped", Warning,
        "maildirsize says what 32 bits hold of the real usage, as an old program wrote it",
        "run quota --write, or repair",
        "repair" => "run quota --write";
    QUOTA_VSIZE = "quota.vsize", Warning,
        "the index has added up other sizes than the messages have (hdr-vsize), and a quota that is counted from it goes by that",
        "run quota --write, or doveadm quota recalc for the user";
    QUOTA_DICT = "quota.dict", Warning,
        "the file that --dict names does not say what the messages add up to, or cannot be read",
        "nothing where it is corrected by now; else run quota --write with the same --dict";
    QUOTA_DICT_MISSING = "quota.dict-missing", Warning,
        "the file that --dict names is not there, so nothing is compared with it, and --write does not make it",
        "check the spelling and the variables of --dict; a server makes the file at the user's first session";
    QUOTA_LIMIT = "quota.limit", Info,
        "maildirsize holds limits, which only a Maildir++ has a place for",
        "set them in the server's quota rules";

    INDEX_BROKEN = "index.broken", Warning,
        "an index file cannot be read, or not all of it; what only it knew is lost",
        "run repair before a server opens the store, or restore the file from a backup",
        "repair" => "restore the file from a backup";
    INDEX_INDEXID = "index.indexid", Warning,
        "index and log do not belong together, as after mixed copies; the log is stale and not applied",
        "run repair before a server opens the store",
        "repair" => ELSE;
    INDEX_LOG = "index.log", Warning,
        "the index log ends in a half record or has one that cannot be read; it is used up to there",
        "run repair before a server opens the store",
        "repair" => "nothing";
    INDEX_LOG_GAP = "index.log-gap", Warning,
        "the log that continues the index is missing; changes after the index was written are lost",
        "find the dovecot.index.log that belongs to it before a server opens the store; else repair writes the index anew",
        "repair" => "find the dovecot.index.log that belongs to it";
    INDEX_LOG_LOST = "index.log-lost", Error,
        "the log that continues the index of a dbox mailbox is missing: messages, flags and expunges after the index was written are lost",
        "find the dovecot.index.log that belongs to it, and convert again; else repair writes the index anew",
        "repair" => "find the dovecot.index.log that belongs to it, and convert again";
    INDEX_LOST = "index.lost", Error,
        "a part of the index or the log of a dbox mailbox cannot be read, and no other file of it tells what stood there: messages, flags, keywords or expunges may be missing",
        "restore dovecot.index and its log from a backup, and run again; else repair keeps what is left",
        "repair" => "restore dovecot.index and its log from a backup, and run again";
    INDEX_UIDVALIDITY = "index.uidvalidity", Error,
        "a dbox mailbox with messages has no UIDVALIDITY, and the server's list of mailboxes does not tell it; it becomes 1, and clients load all messages again",
        "restore dovecot.index from a backup; else repair takes it from mailtally.state, or makes a new one",
        "repair" => "restore dovecot.index from a backup";
    INDEX_UIDVALIDITY_WRONG = "index.uidvalidity-wrong", Error,
        "the index of a dbox mailbox has another UIDVALIDITY than the server's list of mailboxes and mailtally.state; theirs is taken, but a server goes by the index, and clients load all messages again",
        "run repair before a server opens the store",
        "repair" => ELSE;
    INDEX_UIDVALIDITY_DIFFERS = "index.uidvalidity-differs", Warning,
        "UIDVALIDITY in the index of a dbox mailbox is not the one that the server's list of mailboxes has, or else the one that the conversion gave it, and no third file says which is right; that of the index is taken, as a server takes it: where it is wrong, clients load all messages again",
        "nothing, or restore dovecot.index from a backup";
    INDEX_UNKNOWN_RECORD = "index.unknown-record", Info,
        "the index log has records of a kind that this version does not know; they are passed over",
        "nothing";
    INDEX_PENDING_EXPUNGE = "index.pending-expunge", Info,
        "a client expunged messages that the server had not yet removed; they count as expunged",
        "nothing";
    INDEX_CACHE = "index.cache", Warning,
        "the cache file does not belong to the index or cannot be read, or not all of it; what cannot be read is not used",
        "run repair before a server opens the store",
        "repair" => "nothing";
    INDEX_BEHIND = "index.behind", Error,
        "the server's list of mailboxes knows UIDs or changes that the index of a dbox mailbox does not: what came or was changed last is missing in it, as where its log is damaged, or from an older backup",
        "restore dovecot.index and its log from a newer backup, and run again; else repair keeps what is left",
        "repair" => "restore dovecot.index and its log from a newer backup, and run again";
    INDEX_ELSEWHERE = "index.elsewhere", Error,
        "no mailbox of a dbox account has an index, and nothing is left of one: it may be that the server keeps them elsewhere, and the location does not say where; UIDs, flags and keywords are not those that clients know",
        "name the directory of the indexes, as in sdbox:PATH:INDEX=DIR (doveconf -h mail_location tells it), and run again; where they are lost, repair makes new ones",
        "repair" => "name the directory of the indexes, as in sdbox:PATH:INDEX=DIR (doveconf -h mail_location tells it), and run again";
    INDEX_MISSING = "index.missing", Error,
        "a dbox mailbox has no index: UIDs are those of the file names; flags and keywords are gone, but for what its log still tells",
        "run repair, or restore dovecot.index from a backup",
        "repair" => "restore dovecot.index from a backup";

    DBOX_LOST = "dbox.lost", Error,
        "the index knows a message whose file is gone",
        "restore the file from a backup, or run repair",
        "repair" => "restore the file from a backup";
    DBOX_ORPHAN = "dbox.orphan", Warning,
        "a message file is in no index, though the index is sound; Dovecot would bring it back at the next resync",
        "look at it; repair --recover-orphans takes it in",
        "repair --recover-orphans" => "look at it";
    DBOX_NEWER = "dbox.newer", Error,
        "the index of an sdbox mailbox has a UIDNEXT that a message file already has: it is older than the file, and changes that came last are missing in it; a server fails to save the message that gets this UID",
        "restore dovecot.index and its log from a backup; else repair sets UIDNEXT above the file, before a server opens the store",
        "repair" => "restore dovecot.index and its log from a backup";
    DBOX_RECOVERED = "dbox.recovered", Error,
        "the index is damaged and does not know messages that are there; they are carried without flags, those of an sdbox with the UIDs of their file names, those of an mdbox with new ones",
        "look whether expunged messages came back; restore dovecot.index from a backup for the flags, or run repair",
        "repair" => "look whether expunged messages came back; restore dovecot.index from a backup for the flags";
    DBOX_ALT = "dbox.alt", Error,
        "the alternative storage of the account is not named or not there; messages that lie in it are not carried",
        "name it with ALT=, or mount it, and run again";
    DBOX_METADATA = "dbox.metadata", Error,
        "the metadata behind a message is missing or damaged; the message is carried, and what is not known of it is derived",
        "restore the file from a backup, or run repair",
        "repair" => "restore the file from a backup";
    DBOX_TRUNCATED = "dbox.truncated", Error,
        "the message file ends before its message does; what could be recovered is carried",
        "restore the file from a backup; else repair keeps what is left of it",
        "repair" => "restore the file from a backup";
    DBOX_HEADER = "dbox.header", Error,
        "the header of a message or of its file is damaged; the message is carried where its metadata tells how far it goes",
        "restore the file from a backup, or run repair",
        "repair" => "restore the file from a backup";
    DBOX_SIZE = "dbox.size", Warning,
        "a size in the metadata is not the size of the message, as where bytes of it were changed since it was stored",
        "look at the message, if need be in a backup too; repair corrects the size",
        "repair" => "look at the message, if need be in a backup too";
    DBOX_UNREADABLE = "dbox.unreadable", Error,
        "a message file cannot be read",
        "make the file readable for the run (owner, mode, disk)";
    DBOX_DAMAGED = "dbox.damaged", Error,
        "a compressed message does not decompress, or NULs stand where a block was never written or was lost; what could be recovered is carried",
        "restore the file from a backup; else repair keeps what is left of it",
        "repair" => "restore the file from a backup";
    DBOX_EXTERNAL_ATTACHMENT = "dbox.external-attachment", Error,
        "an attachment that lies outside the store (mail_attachment_dir) cannot be joined to its message, which is not carried",
        "name the directory with ATTACHMENTS=, or restore the attachment from a backup";
    DBOX_ENCRYPTED = "dbox.encrypted", Warning,
        "the message is encrypted by mail_crypt; it is carried as ciphertext",
        "give the destination server the same keys";
    DBOX_STRAY = "dbox.stray", Warning,
        "a file in a mailbox folder is none that Dovecot puts there",
        "look at it and remove it";
    DBOX_GUID = "dbox.guid", Warning,
        "the mailbox has no GUID",
        "run repair",
        "repair" => ELSE;

    MDBOX_MAP = "mdbox.map", Error,
        "index and map do not lead to a message, and no other place holds it",
        "run repair, or restore storage/ from a backup",
        "repair" => "restore storage/ from a backup";
    MDBOX_MAP_MISSING = "mdbox.map-missing", Warning,
        "the map of the storage files is missing or cannot be read; messages are found by their GUIDs",
        "run repair before a server opens the store",
        "repair" => ELSE;
    MDBOX_MAP_UIDVALIDITY = "mdbox.map-uidvalidity", Warning,
        "a mailbox was written for another map, as after mixed copies",
        "run repair before a server opens the store",
        "repair" => ELSE;
    MDBOX_ASTRAY = "mdbox.astray", Warning,
        "the map or a storage file is damaged where a message should be; the message was found elsewhere by its GUID, and is carried",
        "run repair before a server opens the store",
        "repair" => ELSE;
    MDBOX_GUID = "mdbox.guid", Warning,
        "an index has another GUID for a message than the message itself, and no stored message has that one; the message that the map leads to is carried",
        "run repair",
        "repair" => ELSE;
    MDBOX_LOST = "mdbox.lost", Error,
        "a storage file that holds messages is gone, so its messages are not carried",
        "restore the file from a backup; if it is in alternative storage, name that with ALT=; else repair takes its messages out",
        "repair" => "restore the file from a backup; if it is in alternative storage, name that with ALT=";
    MDBOX_DAMAGED = "mdbox.damaged", Error,
        "bytes of a storage file hold no whole message",
        "restore the file from a backup; else repair keeps what is left of it",
        "repair" => "restore the file from a backup";
    MDBOX_INDEX_MISSING = "mdbox.index-missing", Error,
        "a mailbox has no index: its UIDs, flags, UIDVALIDITY and saved dates are gone; the messages that were first saved to it are carried",
        "restore dovecot.index from a backup, or run repair",
        "repair" => "restore dovecot.index from a backup";
    MDBOX_ORPHAN = "mdbox.orphan", Error,
        "stored messages belong to no mailbox, and nothing tells that they were expunged: an index, a mailbox folder or the map is lost, or older than they are; they are not carried",
        "restore the mailbox's folder or its index from a backup; repair --recover-orphans takes the messages in",
        "repair --recover-orphans" => "restore the mailbox's folder or its index from a backup";
    MDBOX_REFCOUNT = "mdbox.refcount", Warning,
        "the map counts more or fewer messages than the mailboxes have; a purge may remove too little or too much",
        "run repair before a server opens the store",
        "repair" => ELSE;
    MDBOX_UNCOUNTED = "mdbox.uncounted", Warning,
        "a mailbox cannot be read, so nobody knows which stored messages belong to no mailbox, and how many mailboxes have each",
        "make all mailboxes readable for the run and run again; until then no count is lowered, no orphan is taken in, and a mailbox without its index stays without";
    MDBOX_UNPURGED = "mdbox.unpurged", Info,
        "stored messages were expunged and not purged yet; they are not carried",
        "nothing; doveadm purge frees their room";
    MDBOX_STRAY = "mdbox.stray", Warning,
        "the map names no message of a storage file",
        "look at it";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_have_the_form_of_the_interface() {
        let codes: BTreeSet<_> = RULES.iter().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), RULES.len());
        for rule in RULES {
            let (format, what) = rule.code.split_once('.').expect("FORMAT.WHAT");
            for word in [format, what] {
                let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!(!word.is_empty() && word.chars().all(fits), "{}", rule.code);
            }
            assert!(!rule.cause.is_empty() && !rule.remedy.is_empty());
        }
    }

    #[test]
    fn what_comes_before_a_server_says_so() {
        for rule in RULES {
            let says_so = rule.remedy.contains("before a server opens the store");
            assert_eq!(rule.comes_before_a_server(), says_so, "{}", rule.code);
        }
    }

    #[test]
    fn a_remedy_that_names_repair_has_another_one_for_what_is_left() {
        for rule in RULES {
            let named = rule.remedy.contains("repair");
            assert_eq!(named, rule.left.is_some(), "{}", rule.code);
            let Some(left) = &rule.left else { continue };
            assert!(rule.remedy.contains(left.by), "{}", rule.code);
            assert!(!left.remedy.contains("repair"), "{}", rule.code);
            let option = left.by != "repair";
            let before = if option { rule.remedy } else { left.remedy };
            assert_eq!(rule.remedy_after(&[]), before, "{}", rule.code);
            let given = ["--dates", "--recover-orphans", "--accept-loss"];
            assert_eq!(rule.remedy_after(&given), left.remedy, "{}", rule.code);
        }
    }

    #[test]
    fn every_part_of_a_remedy_that_is_no_repair_is_left() {
        let left = |rule: &Rule| rule.remedy_after(&[]);
        for (rule, wanted) in [
            (
                &MAILDIR_KEYWORD_UNNAMED,
                "add the missing line to dovecot-keywords",
            ),
            (&DBOX_METADATA, "restore the file from a backup"),
            (&INDEX_UIDVALIDITY, "restore dovecot.index from a backup"),
            (&UIDLIST_TRUNCATED, "nothing"),
            (&QUOTA_WRAPPED, "run quota --write"),
            (&MDBOX_REFCOUNT, ELSE),
            (&MAILDIR_COPY_DATES, MAILDIR_COPY_DATES.remedy),
        ] {
            assert_eq!(left(rule), wanted);
        }
    }
}
