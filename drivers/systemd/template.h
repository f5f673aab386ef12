/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Fills the placeholders of our unit templates (framework/systemd/user/NAME.service.in). Every
 * value is a number of ours or a path, and is escaped for the double quotes it stands in. Pure.
 *
 * Placeholders: @prefix@ @fleet@ @home@ @state@ @runtime@ @libexec@ @program@ @tmux_tmpdir@, and
 * each of them as @NAME.argument@ where it stands in an argument of Exec...=: there systemd also
 * expands "$".
 */

#include "drivers/os/paths.h"
#include "model/base/cleanup.h"

/*
 * -EILSEQ: a path cannot be written into a unit file (control characters, bytes that are not UTF-8;
 * a quote or a backslash in the path of a program); *ret_culprit is then that path, borrowed.
 * -EINVAL: a placeholder that does not exist.
 */
_must_check_ int template_render(const char *text,
                const Paths *p,
                const char *tmux_tmpdir,
                const char **ret_culprit,
                char **ret);

/* "mosaic-agent@.service.in" -> "mosaic-1a2b3c4d-agent@.service" for that fleet. *ret is NULL if
 * the name is not that of a unit of ours. Caller frees. */
_must_check_ int template_unit_name(const Paths *p, const char *asset_name, char **ret);
