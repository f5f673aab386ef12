/* SPDX-License-Identifier: MIT */
#pragma once

/* What became of the product-owned files, for people and as JSON. */

#include "drivers/systemd/install.h"
#include "reconciler/context.h"

/* One line per file that is not simply unchanged, and what the reload said. */
void output_install(const Context *c, const InstallReport *report);

/* The last line. @done: "Installed", "Would remove" ... */
void output_install_summary(const char *done, const InstallReport *report, int code);

_must_check_ int output_install_json(const char *format, const InstallReport *report, int code);
