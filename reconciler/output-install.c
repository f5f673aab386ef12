/* SPDX-License-Identifier: MIT */
#include "reconciler/output-install.h"

#include "model/json.h"
#include "reconciler/output.h"

static Style status_style(InstallStatus s) {
        switch (s) {
        case INSTALL_NEW:
        case INSTALL_UPDATED:
        case INSTALL_REMOVED:
                return STYLE_GREEN;
        case INSTALL_MODIFIED:
        case INSTALL_KEPT:
                return STYLE_YELLOW;
        case INSTALL_FAILED:
                return STYLE_RED;
        case INSTALL_UNCHANGED:
        case _INSTALL_STATUS_MAX:
                break;
        }
        return STYLE_DIM;
}

void output_install(const Context *c, const InstallReport *report) {
        for (size_t i = 0; i < report->n_items; i++) {
                const InstallItem *item = report->items + i;

                printf("%s%-16s%s %s\n", output_begin(c, status_style(item->status)),
                                install_status_to_string(item->status), output_end(c), item->path);
                if (item->note)
                        printf("%-16s   %s\n", "", item->note);
        }
        if (report->reloaded)
                printf("The user manager has read the units\n");
        if (report->reload_note)
                printf("Note: %s\n", report->reload_note);
}

void output_install_summary(const char *done, const InstallReport *report, int code) {
        const char *separator = ": ";

        printf("%s", done);
        for (int s = 0; s < _INSTALL_STATUS_MAX; s++)
                if (report->counts[s] > 0) {
                        printf("%s%zu %s", separator, report->counts[s],
                                        install_status_to_string((InstallStatus)s));
                        separator = ", ";
                }
        printf(" (exit %d)\n", code);
}

int output_install_json(const char *format, const InstallReport *report, int code) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_string(&b, "format", format);
        json_put_string(&b, "version", "1.0");
        json_open_array(&b, "files");
        for (size_t i = 0; i < report->n_items; i++) {
                json_open_object(&b, NULL);
                json_put_string(&b, "path", report->items[i].path);
                json_put_string(&b, "status", install_status_to_string(report->items[i].status));
                json_put_string(&b, "note", report->items[i].note);
                json_close(&b);
        }
        json_close(&b);
        json_put_bool(&b, "reloaded", report->reloaded);
        json_put_string(&b, "note", report->reload_note);
        json_open_object(&b, "summary");
        for (int s = 0; s < _INSTALL_STATUS_MAX; s++)
                json_put_uint(&b, install_status_to_string((InstallStatus)s), report->counts[s]);
        json_put_uint(&b, "exit", (uint64_t)code);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}
