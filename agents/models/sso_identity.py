"""The table of identities of the single sign-on."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

LONGEST_CLAIM = 255


class SsoIdentity(models.Model):
    """A person of the single sign-on, by who issued the token and whom it is about (`iss`, `sub`), and their user here.

    Without a user it waits for an administrator, who links it. The name that a token claims links nothing: names can be
    changed and given again, subjects cannot.
    """

    issuer = models.CharField(
        _("issuer"), max_length=LONGEST_CLAIM, blank=True, help_text=_("The claim iss of its tokens.")
    )
    subject = models.CharField(_("subject"), max_length=LONGEST_CLAIM, help_text=_("The claim sub of its tokens."))
    claimed_name = models.CharField(_("name in the token"), max_length=150, blank=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="sso_identities",
        verbose_name=_("user"),
        help_text=_("Who is connected with such a token; empty: nobody yet."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("identity of the single sign-on")
        verbose_name_plural = _("identities of the single sign-on")
        ordering = ("-created_at",)
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="one_row_per_sso_identity")]

    def __str__(self) -> str:
        return f"{self.subject} · {self.issuer}" if self.issuer else self.subject
