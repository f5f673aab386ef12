/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The resolved roster: what every agent really gets, as a document that is itself a roster, with
 * the origin of each value. Made for people who ask where a value comes from, and for programs that
 * want no merging of their own; nothing else in mosaic reads it.
 *
 * Credentials are in it as the names of their files only. What looks like a secret is replaced by
 * stars, wherever it stands.
 */

#include "model/json.h"
#include "model/roster.h"

typedef enum OriginKind {
        ORIGIN_ROSTER,
        ORIGIN_RUNTIME, /* the file of a built-in runtime */
        ORIGIN_DEFAULT, /* mosaic's own */
        ORIGIN_MACHINE, /* chosen for this machine by init */
        _ORIGIN_MAX,
} OriginKind;

const char *origin_kind_to_string(OriginKind k);

typedef struct Origin {
        char *pointer; /* of the value in the document */
        OriginKind kind;
        const char *file; /* borrowed from the source; NULL: of no file */
        unsigned line;    /* 1-based; 0: of no file */
} Origin;

typedef struct RosterConfig {
        Json *document;  /* a roster */
        Origin *origins; /* in the order of the document; one for each scalar and each list */
        size_t n_origins;
} RosterConfig;

typedef struct ConfigInput {
        const RosterSource *roster; /* the one @desired was made from */
        const RosterSource *runtimes;
        size_t n_runtimes;
        const Desired *desired;
        const Diags *diags;    /* of loading: knows what looks like a secret */
        const char *socket;    /* name of the tmux socket where the roster says none */
        Supervisor supervisor; /* what the fleet has on this machine */
        char *const *names;    /* only these agents; NULL: all */
} ConfigInput;

RosterConfig *roster_config_free(RosterConfig *c);
DEFINE_CLEANUP(RosterConfig *, roster_config_free)
#define _cleanup_roster_config_ _cleanup_(roster_config_freep)

/* @input must outlive the result. -EINVAL: the sources are not what @desired was made from. */
_must_check_ int roster_config_new(const ConfigInput *input, RosterConfig **ret);

/* As YAML; argv, which no key of a roster holds, is said in comments, and with @origin where each
 * value comes from. */
void roster_config_write(const RosterConfig *c, const ConfigInput *input, bool origin, StrBuf *b);

/* The members roster, agents and, with @origin, origins of an open object. */
void roster_config_put_json(
                const RosterConfig *c, const ConfigInput *input, bool origin, JsonBuilder *b);
