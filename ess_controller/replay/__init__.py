"""Lives through recorded beats and CAN captures again, with the code of today, and says what would be different.

signals    what a beat told the site and why, as named numbers: what two runs are compared by
moments    journals and captures as one stream of recorded beats
player     plant, core and guard on that stream, by the daemon's own loop
diff       two runs beat by beat; wave draws them
survey     a capture by itself: ids, rates, gaps, which dialect
health     a capture through a site: cells, devices, limits
"""
