"""From runs to estimates, tables, figures and studies. The draw is the statistical unit throughout."""
