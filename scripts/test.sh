#!/bin/sh
# The tests of a kind on SQLite, and beside them those that work on tables on PostgreSQL, when one answers: half of its
# time a pass waits. What the second one says comes when the first is over, or when somebody ends both; the last line
# says how each of them ended.
#
#     scripts/test.sh PYTHON POSTGRES_HOST MARKER_EXPRESSION PYTEST_OPTIONS…
set -u
python=$1
host=$2
kind=$3
shift 3
nothing_selected=5

second=
log=$(mktemp)
trap 'exit 130' INT TERM
trap 'end' EXIT

end() {
    [ -z "$second" ] || { kill "$second" 2>/dev/null; tell 'On PostgreSQL, until it was ended:'; }
    rm -f "$log"
}

tell() {
    printf '\n%s\n' "$1"
    cat "$log"
}

outcome() {
    case $1 in
        0) echo passed ;;
        $nothing_selected) echo 'nothing selected' ;;
        *) echo "failed (pytest ended with $1)" ;;
    esac
}

if "$python" -c 'import socket, sys; socket.create_connection((sys.argv[1], 5432), 5)' "$host" 2>/dev/null \
        || [ "${MYAGENT_TEST_REQUIRE_SERVICES:-}" = 1 ]; then
    DATABASE_URL=postgres://postgres@$host:5432/postgres \
        "$python" -m pytest -m "database and ($kind)" "$@" -n 2 >"$log" 2>&1 &
    second=$!
fi
"$python" -m pytest -m "$kind" "$@"
code=$?
if [ -z "$second" ]; then
    echo "PostgreSQL does not answer on $host: these tests ran on SQLite only."
else
    wait "$second"
    second_code=$?
    second=
    tell 'On PostgreSQL:'
    printf '\nOn SQLite: %s. On PostgreSQL: %s.\n' "$(outcome $code)" "$(outcome $second_code)"
    # Options may select tests that have nothing to do with tables.
    [ "$second_code" = $nothing_selected ] || [ "$code" != 0 ] || code=$second_code
fi
exit "$code"
