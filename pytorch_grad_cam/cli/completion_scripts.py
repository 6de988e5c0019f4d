"""The scripts by which bash, zsh and fish complete the command line, made of what each command offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytorch_grad_cam.cli.commands import DEFAULT

FILES, FOLDERS, NOTHING = "files", "folders", "nothing"
MANY = 99  # values: as many as are typed


@dataclass(frozen=True)
class Offer:
    """One thing that can be typed.

    Attributes:
        verb: the command, with its second word where it has one.
        names: of the option; none where it stands without a name.
        count: of its values; 0 is a switch.
        values: the words that there are, or `FILES`, `FOLDERS` or `NOTHING` that can be listed.
        help: what it means.
    """

    verb: str
    names: tuple[str, ...]
    count: int
    values: tuple[str, ...] | str
    help: str = ""


# @...@ is filled in. An option is completed behind "-"; else the values of the last option, as many as it takes; else
# what stands without a name. Words have no blanks.
_BASH = r"""# Completes @program@ in bash; printed by "@program@ completion bash".
_@program@_take() {
    local one
    while IFS= read -r one; do COMPREPLY+=("$one"); done
}
_@program@() {
    local word="${COMP_WORDS[COMP_CWORD]}" verb=@default@ first=1 option= count=0 names= values= i=0
    COMPREPLY=()
    if [ "$COMP_CWORD" -gt 1 ]; then
        case "${COMP_WORDS[1]}" in
            @alternatives@) verb="${COMP_WORDS[1]}"; first=2 ;;
        esac
    fi
    if [ "$COMP_CWORD" -gt 2 ]; then
        case "$verb ${COMP_WORDS[2]}" in
            @seconds@) verb="$verb ${COMP_WORDS[2]}"; first=3 ;;
        esac
    fi
    case "$verb" in
@names@
    esac
    i=$((COMP_CWORD - 1))
    while [ "$i" -ge "$first" ]; do
        case "${COMP_WORDS[i]}" in
            -*) option="${COMP_WORDS[i]}"; break ;;
        esac
        i=$((i - 1))
    done
    case "$word" in
        -*) _@program@_take < <(compgen -W "$names" -- "$word"); return ;;
    esac
    if [ -n "$option" ]; then
        case "$verb $option" in
@values@
        esac
        [ $((COMP_CWORD - i)) -gt "$count" ] && option=
    fi
    if [ -z "$option" ]; then
        values=nothing
        case "$verb" in
@positional@
        esac
    fi
    case "$values" in
        files) _@program@_take < <(compgen -f -- "$word") ;;
        folders) _@program@_take < <(compgen -d -- "$word") ;;
        nothing) return ;;
        *) _@program@_take < <(compgen -W "$values" -- "$word"); return ;;
    esac
    type compopt >/dev/null 2>&1 && compopt -o filenames 2>/dev/null  # writes blanks and folders as they are typed
    if [ "$COMP_CWORD" -eq 1 ]; then
        _@program@_take < <(compgen -W "@verbs@" -- "$word")
    fi
}
complete -F _@program@ @program@
"""
_ZSH = """# Completes @program@ in zsh, by what completes it in bash; printed by "@program@ completion zsh".
autoload -U +X compinit && (( $+functions[compdef] )) || compinit
autoload -U +X bashcompinit && bashcompinit
"""
_FISH = r"""# Completes @program@ in fish; printed by "@program@ completion fish".
function __@program@_verb
    set -l words (commandline -opc)
    set -e words[1]
    set -l verb @default@
    if set -q words[1]; and contains -- $words[1] @verbs@
        set verb $words[1]
        if set -q words[2]; and contains -- "$verb $words[2]" @second_words@
            set verb "$verb $words[2]"
        end
    end
    test "$verb" = "$argv"
end
function __@program@_first
    test (count (commandline -opc)) -eq 1
end
complete -c @program@ -f
@lines@
"""


def bash(program: str, commands: Mapping[str, str], offers: Sequence[Offer]) -> str:
    """Return the script for bash.

    Args:
        program: the word that is completed.
        commands: the commands, each with what it does.
        offers: of all commands.
    """
    verbs = list(dict.fromkeys(offer.verb for offer in offers))
    named = {verb: [name for offer in offers if offer.verb == verb for name in offer.names] for verb in verbs}
    rows: dict[tuple[int, str], list[str]] = {}
    for offer in offers:
        if offer.count:
            places = [f'"{offer.verb} {name}"' for name in offer.names]
            rows.setdefault((offer.count, _listed(offer)), []).extend(places)
    unnamed = [offer for offer in offers if not offer.names]
    return _filled(
        _BASH,
        program,
        commands,
        alternatives="|".join(commands),
        seconds="|".join(f'"{verb}"' for verb in verbs if " " in verb) or '""',
        names="\n".join(f'        "{verb}") names="{" ".join(names)}" ;;' for verb, names in named.items()),
        values="\n".join(
            f'            {"|".join(places)}) count={count} values="{values}" ;;'
            for (count, values), places in rows.items()
            if places
        ),
        positional="\n".join(
            f'            "{offer.verb}") values="{_listed(offer)}" ;;'
            for offer in (*unnamed, Offer(DEFAULT, (), MANY, FILES))
        ),
    )


def zsh(program: str, commands: Mapping[str, str], offers: Sequence[Offer]) -> str:
    """Return the script for zsh, with the arguments of `bash`."""
    return _filled(_ZSH, program, commands) + bash(program, commands, offers).partition("\n")[2]


def fish(program: str, commands: Mapping[str, str], offers: Sequence[Offer]) -> str:
    """Return the script for fish, with the arguments of `bash`."""
    lines = [
        f"complete -c {program} -n __{program}_first -a {name} -d {_quoted(summary)}"
        for name, summary in commands.items()
    ]
    lines += [_fish_line(program, offer) for offer in (*offers, Offer(DEFAULT, (), MANY, FILES))]
    seconds = " ".join(_quoted(verb) for verb in dict.fromkeys(offer.verb for offer in offers) if " " in verb)
    return _filled(_FISH, program, commands, second_words=seconds, lines="\n".join(lines))


SCRIPTS: dict[str, Callable[[str, Mapping[str, str], Sequence[Offer]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}


def _fish_line(program: str, offer: Offer) -> str:
    parts = [f"complete -c {program} -n {_quoted(f'__{program}_verb {offer.verb}')}"]
    for name in offer.names:
        kind = "-l" if name.startswith("--") else "-s" if len(name) == 2 else "-o"
        parts.append(f"{kind} {name.lstrip('-')}")
    if offer.help:
        parts.append(f"-d {_quoted(offer.help)}")
    if offer.names and offer.count:
        parts.append("-r" if offer.values == FILES else "-x")
    if offer.count and offer.values == FILES:
        parts.append("-F")
    elif offer.count and offer.values == FOLDERS:
        parts.append("-a '(__fish_complete_directories)'")
    elif offer.count and offer.values != NOTHING:
        parts.append(f"-a {_quoted(_listed(offer))}")
    return " ".join(parts)


def _listed(offer: Offer) -> str:
    return offer.values if isinstance(offer.values, str) else " ".join(offer.values)


def _quoted(text: str) -> str:
    """Return a text as fish reads it between single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _filled(template: str, program: str, commands: Mapping[str, str], **parts: str) -> str:
    for name, text in {**parts, "verbs": " ".join(commands), "default": DEFAULT, "program": program}.items():
        template = template.replace(f"@{name}@", text)
    return template
